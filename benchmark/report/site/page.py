"""One file of everything: data, style, scripts and libraries."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import datasets
from benchmark import __version__
from benchmark.records import write_atomic
from benchmark.report.cells import PHANTOM, TIERS
from benchmark.report.groups import Group, row_title
from benchmark.report.material import RULES, Material
from benchmark.report.site.board import board_parts
from benchmark.report.site.cases import case_parts
from benchmark.report.site.charts import chart_parts
from benchmark.report.site.libraries import datatables_css, libraries_html
from benchmark.report.site.literature import literature_parts
from benchmark.report.site.scores import score_parts

PAGE = "index.html"
SCRIPTS = ("page", "board_rows", "board", "charts", "cases_paint", "cases_viewer", "cases")
STYLES = ("page", "board", "charts", "cases")

METHOD = (
    "Rows of one table that were trained here saw the same patients, with the same budget, "
    "optimiser, loss and augmentation unless a row or a note says otherwise, and were tested on "
    "patients that they had never seen; scores are computed on the grid and spacing of the "
    "original files. The Dice of a row is the mean over the classes of a case, the cases of a "
    "patient and then the patients, with a 95 % bootstrap interval over patients. A structure that "
    "is absent from truth and prediction has no score; one that is missed or invented scores 0. "
) + TIERS
# What lies beside the page, by what it is.
TABLES = (
    ("Leaderboard", "leaderboard"),
    ("Scores by phase", "strata"),
    ("Clinical endpoints", "clinical"),
    ("Paired comparisons", "comparisons"),
    ("Rank stability", "stability"),
    ("Ranks over datasets", "across"),
    ("Errors", "errors"),
    ("Errors by kind", "errors_by_kind"),
    ("Worst cases", "worst_cases"),
    ("Other data", "generalisation"),
    ("Other data, by subgroup", "generalisation_subgroups"),
    ("Robustness", "robustness"),
    ("Scores of every case", "cases"),
    ("For challengeR", "challenger"),
)


def write_page(
    material: Material,
    *,
    written: Iterable[Path],
    mlflow: Mapping[str, str],
) -> list[Path]:
    """Write ``index.html`` and the rules it links to.

    Args:
        material: What the page is made from.
        written: The other files of the report.
        mlflow: Address of runs in MLflow by their keys, as far as known.

    Returns:
        The paths of both files.
    """
    import matplotlib

    charts, cases = chart_parts(material), case_parts(material)
    literature = literature_parts(material)
    groups = [
        group_parts(material, group, mlflow)
        | {
            "charts": charts[group.slug],
            "cases": cases[group.slug],
            "literature": literature[group.slug],
        }
        for group in material.groups
    ]
    across = {"charts": charts["across"]}
    page = _template().render(
        title="Heart segmentation leaderboard",
        summary=_summary(material.groups),
        phantoms=_phantoms(material.groups),
        phantom_note=PHANTOM,
        groups=groups,
        across=bool(across["charts"]),
        method=METHOD,
        data=_data(material.groups),
        files=_files(material.folder, written),
        footer=f"Made by the heart segmentation benchmark {__version__} from "
        f"{len(material.records)} records.",
        page=Markup(to_script({"groups": groups, "across": across})),
        style=Markup("\n".join([datatables_css(), *_texts(STYLES, "css")])),
        script=Markup("\n".join(_texts(SCRIPTS, "js"))),
        libraries=Markup(libraries_html(Path(matplotlib.get_cachedir()))),
    )
    path = material.folder / PAGE
    write_atomic(path, page)
    rules = material.folder / RULES
    shutil.copyfile(Path(__file__).parents[3] / RULES, rules)
    return [path, rules]


def group_parts(material: Material, group: Group, mlflow: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the page says of one group."""
    return {
        "slug": group.slug,
        "title": group.title,
        "subtitle": group.subtitle,
        "phantom": group.phantom,
        "names": [
            {
                "id": row_title(*name),
                "title": row_title(*name),
                "colour": material.looks[name].colour,
            }
            for name in group.names
        ],
        **score_parts(group),
        **board_parts(material, group, mlflow),
    }


def to_script(content: Any) -> str:
    """JSON that may stand within a script element."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _template() -> jinja2.Template:
    source = (files("benchmark.report.site") / "templates" / "index.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)


def _texts(names: Sequence[str], kind: str) -> list[str]:
    folder = files("benchmark.report.site") / "templates"
    return [(folder / f"{name}.{kind}").read_text("utf-8") for name in names]


def _summary(groups: Sequence[Group]) -> str:
    runs = sum(not run.external for group in groups for run in group.runs)
    rows = len({run.architecture for group in groups for run in group.runs if not run.external})
    where = ", ".join(dict.fromkeys(group.title for group in groups))
    said = f"{rows} architecture{'s' * (rows != 1)}, {runs} run{'s' * (runs != 1)}"
    return f"{said}: {where}."


def _phantoms(groups: Sequence[Group]) -> str:
    marked = [group.phantom for group in groups]
    if not any(marked):
        return ""
    which = "All" if all(marked) else "Some"
    return f"{which} of these scores are of synthetic hearts, not patients; no clinical meaning."


def _data(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Terms and citation of each release as its owners state them; phantoms have no owners."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for group in groups:
        for run in group.runs:
            release = "phantom" if group.phantom else run.release
            if (group.dataset, release) not in found and not run.external:
                terms = datasets.terms(group.dataset, "" if group.phantom else release)
                found[group.dataset, release] = {**asdict(terms), "phantom": group.phantom}
    return list(found.values())


def _files(folder: Path, written: Iterable[Path]) -> list[dict[str, Any]]:
    """Links to tables and figures, by what they are."""
    names = sorted(path.relative_to(folder).as_posix() for path in written)
    listed = [
        {"title": title, "files": [name for name in names if name.rsplit(".", 1)[0] == stem]}
        for title, stem in TABLES
    ]
    figures: dict[str, list[str]] = {}
    for name in names:
        if name.startswith("figures/"):
            figures.setdefault(name.rsplit(".", 1)[0].removeprefix("figures/"), []).append(name)
    listed += [{"title": f"Figure {stem}", "files": names} for stem, names in figures.items()]
    return [one for one in listed if one["files"]]
