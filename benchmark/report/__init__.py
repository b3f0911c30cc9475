"""Tables and figures, made from records alone and made again from them at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.report.style import FORMATS

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.report.columns import Printing


def write_report(
    results: Path,
    records: Sequence[Mapping[str, Any]],
    cases: pd.DataFrame,
    epochs: pd.DataFrame,
    clinical: pd.DataFrame,
    *,
    mix_protocols: bool = False,
    formats: Sequence[str] = FORMATS,
    mlflow: Mapping[str, str] | None = None,
    width: str = "two",
    printing: Printing | None = None,
) -> list[Path]:
    """Write ``results/report``: the page, leaderboard, statistics, errors, agreement, figures.

    Runs are compared only within a dataset, source and protocol. Runs that failed are rows with
    their status.

    Args:
        results: the results folder.
        records: parsed ``record.json`` files, each with ``path``, the folder of the run.
        cases: the rows of all ``cases.csv``.
        epochs: the rows of all ``epochs.csv`` with ``run, architecture, dataset, source, fold,
            seed``.
        clinical: the rows of all ``clinical.csv``.
        mix_protocols: put the protocols of a dataset and source side by side in one table, marked
            and without ranks, and write to ``results/report-mixed``.
        formats: of figures, among PNG, SVG and PDF; without any there are tables alone.
        width: of figures: for ``one`` column of a page, for ``two``, or ``both``.
        printing: columns and decimals of the leaderboard as printed; all of them, and three, by
            default.
        mlflow: address of runs in MLflow by their keys, for the page to link to.

    Returns:
        The paths written: ``leaderboard.csv``, ``.md``, ``.tex``, ``cases.csv``, ``strata.csv``,
        ``.md``, ``.tex``, ``clinical.csv``, ``.md``, ``.tex``, the analyses, then figures; of what
        followed the runs ``generalisation`` and ``robustness``; then the page, ``index.html``.

    Raises:
        BenchmarkError: A column was asked for that there is not; nothing is written then.
    """
    from benchmark.records import read_followers
    from benchmark.report.analyses import write_analyses
    from benchmark.report.clinical import agreement_frame
    from benchmark.report.clinical_tables import write_clinical
    from benchmark.report.errors import write_errors
    from benchmark.report.figures import write_figures
    from benchmark.report.figures.robustness import write_robustness_figures
    from benchmark.report.generalisation import write_generalisation
    from benchmark.report.groups import comparison_groups
    from benchmark.report.leaderboard import leaderboard
    from benchmark.report.robustness import curves, write_robustness
    from benchmark.report.site import write_site
    from benchmark.report.site.material import Material
    from benchmark.report.stability import rankings
    from benchmark.report.strata import write_strata
    from benchmark.report.tables import EVERYTHING, write_tables

    folder = results / ("report-mixed" if mix_protocols else "report")
    groups = comparison_groups(records, cases, epochs, mix_protocols=mix_protocols)
    frame = leaderboard(groups)
    found = rankings(frame, groups)
    agreement = agreement_frame(groups, clinical)
    # A damaged one is left out here, and made again by the next run.
    followers = read_followers(records, lambda text: None)
    corrupted = curves(groups, followers)
    files = [
        *write_tables(folder, frame, groups, printing or EVERYTHING),
        *write_strata(folder, groups),
        *write_clinical(folder, agreement, groups, clinical),
        *write_analyses(folder, frame, groups, found),
        *write_errors(folder, groups),
        *write_generalisation(folder, followers, cases),
        *write_robustness(folder, corrupted),
        *write_figures(folder / "figures", frame, groups, clinical, found, formats, width),
        *write_robustness_figures(folder / "figures", corrupted, formats),
    ]
    if not formats:
        return files
    by_key = {str(record["key"]): record for record in records}
    material = Material(folder, groups, frame, agreement, found, by_key)
    return [*files, *write_site(material, written=files, mlflow=mlflow or {})]
