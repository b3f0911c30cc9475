"""The animation of a group: its case, its frames, and that equal pictures give equal bytes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from benchmark.report import style
from benchmark.report.excerpts import files_of, read_excerpt
from benchmark.report.figures import animation
from benchmark.report.figures.animation import choose_case, write_animation
from benchmark.report.figures.frames import Board, box_of, paint
from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import by_group, case_scores, leaderboard


@pytest.fixture
def group_of(tmp_path, record, finished, volumes):
    def build(dataset, source="phantom", names=("unet", "vnet"), patients=5):
        records = [record(tmp_path, name, dataset, source) for name in names]
        made = finished(records, patients=patients, slices=False)
        for item in records:
            volumes(item, made[1][made[1]["run"] == item["key"]])
        group = comparison_groups(*made)[0]
        return group, by_group(leaderboard([group]), group)

    return build


def test_volumes_move_through_slices_and_repeat_to_the_byte(tmp_path, group_of):
    group, rows = group_of("acdc")
    path = write_animation(tmp_path / "a" / "one.gif", group, rows)
    again = write_animation(tmp_path / "a" / "two.gif", group, rows)
    assert path.read_bytes() == again.read_bytes()
    assert path.stat().st_size < 3_000_000
    with Image.open(path) as gif:
        assert gif.n_frames == 5
        assert gif.info["loop"] == 0
        frames = []
        for index in range(5):
            gif.seek(index)
            frames.append(np.asarray(gif.convert("RGB")).astype(int))
    red = [round(255 * part) for part in style.rgb(style.PHANTOM_COLOUR)]
    assert all((frame[0] == red).all() for frame in frames)
    assert all((a != b).any() for a, b in pairwise(frames))


def test_a_large_file_is_made_in_smaller_panels(tmp_path, group_of, monkeypatch):
    group, rows = group_of("acdc", patients=1)
    usual = write_animation(tmp_path / "usual.gif", group, rows)
    limit = usual.stat().st_size - 1
    monkeypatch.setattr(animation, "_MOST_BYTES", limit)
    smaller = write_animation(tmp_path / "smaller.gif", group, rows)
    assert smaller.stat().st_size <= limit
    with Image.open(usual) as one, Image.open(smaller) as other:
        assert other.height < one.height
        assert other.n_frames == one.n_frames


def test_planar_views_go_from_diastole_to_systole(tmp_path, group_of):
    group, rows = group_of("camus", "real", patients=3)
    path = write_animation(tmp_path / "a.gif", group, rows)
    with Image.open(path) as gif:
        assert gif.n_frames == 2
        assert np.asarray(gif.convert("RGB"))[0, 0].max() < 50  # nothing warns of patients


def test_the_case_is_the_median_of_the_best_row(group_of):
    group, rows = group_of("acdc")
    name, case = choose_case(group, rows, files_of(group))
    assert name == ("unet", "")
    scores = case_scores(group.cases)
    mine = scores[scores["architecture"] == "unet"].set_index("case")["dice"]
    assert (mine < mine[case]).sum() == len(mine) // 2


def test_only_rows_with_pictures_are_candidates_and_none_means_no_file(tmp_path, group_of):
    group, rows = group_of("acdc", patients=2)
    best = group.of(("unet", ""))[0]
    for path in (best.path / "slices").glob("*.npz"):
        path.unlink()
    assert choose_case(group, rows, files_of(group))[0] == ("vnet", "")
    for path in (group.of(("vnet", ""))[0].path / "slices").glob("*.npz"):
        path.unlink()
    assert write_animation(tmp_path / "none.gif", group, rows) is None
    assert not (tmp_path / "none.gif").exists()


def test_a_panel_shows_the_errors_in_their_colours(group_of):
    group, _ = group_of("acdc", patients=1, names=("unet",))
    stored = files_of(group)["unet", ""]
    excerpt = read_excerpt(next(iter(stored.values()))[1])
    shape = excerpt.truth.shape
    truth, prediction = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    truth[:, 10:20, 5:15] = 1  # missed
    prediction[:, 10:20, 25:35] = 1  # extra
    truth[:, 25:35, 5:15], prediction[:, 25:35, 5:15] = 1, 2
    one = type(excerpt)(**{**vars(excerpt), "truth": truth, "prediction": prediction})
    board = Board("t", {"myocardium": 1, "left_ventricle": 2}, box_of([one]), 120, phantom=False)
    picture = np.asarray(paint(board, {"U-Net": one}, 0, "s").convert("RGB")).astype(int)
    height, width = board.panel
    scale = height / shape[1]
    # The third panel, below two lines of heading and two of its own.
    y0, x0 = 2 * 18 + 6 + 2 * 18, 6 + 2 * (width + 6)
    for (y, x), colour in (
        ((15, 10), style.MISSED_COLOUR),
        ((15, 30), style.SPURIOUS_COLOUR),
        ((30, 10), style.CONFUSED_COLOUR),
    ):
        pixel = picture[y0 + round(y * scale), x0 + round(x * scale)]
        strongest = np.argsort(style.rgb(colour))
        assert pixel[strongest[-1]] > pixel[strongest[0]] + 60
