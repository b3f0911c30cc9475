"""An animation of one case per group: through its slices, or from end-diastole to end-systole.

The case is the median one of the best row, so that what moves is what the numbers usually mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.report.excerpts import Excerpt, Files, files_of, keep_labels, read_excerpt
from benchmark.report.figures.frames import Board, box_of, paint
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import case_scores
from benchmark.report.standings import ranked_names

if TYPE_CHECKING:
    import pandas as pd

_MOST_FRAMES = 20
_MOST_BYTES = 3_000_000
_SIDES = (240, 180, 120, 80)  # pixels of a panel, until the file is small enough
_SLICE_MS, _PHASE_MS = 250, 700


def write_animation(path: Path, group: Group, rows: pd.DataFrame) -> Path | None:
    """Write the GIF; None where no run of the group left pictures.

    Image, truth and what every row predicted (if its pictures show the same pixels) stand side by
    side, with errors in the colours of the
    figures. Equal pictures give equal bytes; what would be above 3 MB is made in smaller panels.

    Args:
        path: the file; its folder is made.
        group: whose runs are shown.
        rows: those of the group in the leaderboard, best first.
    """
    files = files_of(group)
    chosen = choose_case(group, rows, files)
    if chosen is None:
        return None
    name, case = chosen
    frames = _frames(group, files, case)
    box = box_of([next(iter(excerpts.values())) for excerpts, _, _ in frames])
    path.parent.mkdir(parents=True, exist_ok=True)
    for side in _SIDES:
        board = Board(
            title=f"{group.title}: median case of {row_title(*name)}",
            labels=group.labels,
            box=box,
            side=side,
            phantom=group.phantom,
        )
        first, *others = (paint(board, *frame) for frame in frames)
        slices = frames[0][0] is frames[-1][0]
        first.save(
            path, format="GIF", save_all=True, append_images=others, loop=0, optimize=False,
            duration=_SLICE_MS if slices else _PHASE_MS,
        )  # fmt: skip
        if path.stat().st_size <= _MOST_BYTES:
            break
    return path


def choose_case(
    group: Group, rows: pd.DataFrame, files: Files
) -> tuple[tuple[str, str], str] | None:
    """The best row that has pictures, and its median case among those of which every row has any.

    Where there is no such case, all those of the best row are candidates.
    """
    ordered = [*ranked_names(rows), *zip(rows["architecture"], rows["variant"], strict=True)]
    best = next((name for name in ordered if name in files), None)
    if best is None:
        return None
    candidates = set.intersection(*(set(found) for found in files.values())) or set(files[best])
    scores = case_scores(group.cases)
    mine = scores[(scores["architecture"] == best[0]) & (scores["variant"] == best[1])]
    cases = mine[mine["case"].isin(candidates)].sort_values(["dice", "case"])["case"].tolist()
    return (best, str(cases[len(cases) // 2])) if cases else None


def _frames(group: Group, files: Files, case: str) -> list[tuple[dict[str, Excerpt], int, str]]:
    """What :func:`paint` takes, for each frame."""
    excerpts = _excerpts(group, files, case)
    first = next(iter(excerpts.values()))
    depth = len(first.slices)
    if depth == 1:
        both = [(_excerpts(group, files, one), one) for one in _phases(group, case)]
        return [(found, found[next(iter(found))].shown, one) for found, one in both if found]
    return [
        (excerpts, place, f"{case} · slice {first.slices[place] + 1} of {first.depth}")
        for place in range(0, depth, -(-depth // _MOST_FRAMES))
    ]


def _phases(group: Group, case: str) -> list[str]:
    """The case and, where it is one phase of a view, the other: end-diastole first."""
    cases = group.cases.drop_duplicates("case").set_index("case")
    keys = [name for name in ("patient", "view") if name in cases]
    known = cases[keys].astype(object).fillna("")
    same = cases[(known == known.loc[case]).all(axis=1)]
    if "phase" in same and sorted(same["phase"].astype(str)) == ["ED", "ES"]:
        return [str(name) for name in same.sort_values("phase").index]
    return [case]


def _excerpts(group: Group, files: Files, case: str) -> dict[str, Excerpt]:
    """Those of a case that show the same pixels, by the title of the row."""
    found = {
        row_title(*name): keep_labels(read_excerpt(stored[case][1]), group.labels.values())
        for name, stored in files.items()
        if case in stored
    }
    most = max(found.values(), key=lambda one: len(one.slices), default=None)
    return {name: one for name, one in found.items() if most and one.same_grid(most)}
