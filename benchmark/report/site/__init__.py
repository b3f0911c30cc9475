"""``report/index.html``: the leaderboard as one page that needs nothing but itself.

Every part of the page is plain data made by one module here (``scores``, ``board``, ``charts``,
``cases``, ``literature``) and shown by the script of the same name in ``templates``; ``page`` puts
them into one file. Pictures of cases lie beside it and are loaded when they are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.report.material import Material


def write_site(
    material: Material, *, written: Iterable[Path], mlflow: Mapping[str, str]
) -> list[Path]:
    """Write the page, the rules it links to, and the pictures of its cases.

    Args:
        material: What the page is made from.
        written: The other files of the report, to be linked to.
        mlflow: Address of runs in MLflow by their keys, as far as known.

    Returns:
        The paths, the page first.
    """
    from benchmark.report.site.cases import write_cases
    from benchmark.report.site.page import write_page

    page = write_page(material, written=written, mlflow=mlflow)
    return [*page, *write_cases(material)]
