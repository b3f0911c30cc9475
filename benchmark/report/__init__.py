"""Tables and figures, made from records alone and made again from them at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.report.layout import FORMATS

if TYPE_CHECKING:
    from benchmark.report.columns import Printing
    from benchmark.report.figures.crew import Crew
    from benchmark.report.material import Material


def write_report(
    material: Material,
    *,
    formats: Sequence[str] = FORMATS,
    mlflow: Mapping[str, str] | None = None,
    width: str = "two",
    printing: Printing | None = None,
    crew: Crew | None = None,
) -> list[Path]:
    """Write the page, leaderboard, statistics, errors, agreement and figures.

    Runs that failed are rows with their status.

    Args:
        material: from :func:`benchmark.report.material.gather`; its folder is made if absent.
        formats: of figures, among PNG, SVG and PDF; without any there are tables alone.
        mlflow: address of runs in MLflow by their keys, for the page to link to.
        width: of figures: for ``one`` column of a page, for ``two``, or ``both``.
        printing: columns and decimals of the leaderboard as printed; all of them, and three, by
            default.
        crew: helps to draw the figures, which are the same with and without one.

    Returns:
        The paths written: ``leaderboard.csv``, ``.md``, ``.tex``, ``cases.csv``, ``strata.csv``,
        ``.md``, ``.tex``, ``clinical.csv``, ``.md``, ``.tex``, the analyses; of what followed the
        runs ``generalisation`` and ``robustness``; then figures and the page, ``index.html``.

    Raises:
        BenchmarkError: A column was asked for that there is not; nothing is written then.
    """
    from benchmark.report.analyses import write_analyses
    from benchmark.report.clinical_tables import write_clinical
    from benchmark.report.errors import write_errors
    from benchmark.report.figures import begin_figures
    from benchmark.report.figures.crew import Crew
    from benchmark.report.generalisation import write_generalisation
    from benchmark.report.robustness import write_robustness
    from benchmark.report.site import write_site
    from benchmark.report.strata import write_strata
    from benchmark.report.tables import EVERYTHING, write_tables

    folder, groups = material.folder, material.groups
    files = write_tables(folder, material.frame, groups, printing or EVERYTHING)
    drawn = begin_figures(material, formats, width, crew or Crew())
    files += [
        *write_strata(folder, groups),
        *write_clinical(folder, material.agreement, groups, material.clinical),
        *write_analyses(material),
        *write_errors(folder, groups),
        *write_generalisation(folder, material.followers, material.cases),
        *write_robustness(folder, material.curves),
    ]
    files += drawn()
    if not formats:
        return files
    return [*files, *write_site(material, written=files, mlflow=mlflow or {})]
