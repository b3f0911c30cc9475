"""The charts one can point at: Vega-Lite specifications, as plain data.

They are dicts and not objects of altair, whose import and validation take longer than making all
charts of a report; a test validates them with altair instead. No colour of text or ground is in
them: the page gives its own by the names of the styles ``front``, ``interval``, ``threshold``,
``empty``.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from benchmark.report.site.charts import clock, costs, heatmap, stability, training

if TYPE_CHECKING:
    from benchmark.report.material import Material


def chart_parts(material: Material) -> dict[str, Any]:
    """The charts of every group by its slug, and those over datasets under ``across``.

    Returns:
        Lists of charts, each with ``id``, ``title``, ``description`` (what is seen, with numbers,
        for those who do not see it) and ``spec``, whose own title and subtitle go with a picture
        that is saved. Time-to-Dice has a ``table`` too: per row the seconds to reach each of
        ``thresholds``, None where it was not reached, and the same as text. A chart without
        anything to show is left out.
    """
    parts: dict[str, Any] = {}
    for group in material.groups:
        drawn = [
            *costs.charts(material, group),
            stability.chart(material, group),
            *training.charts(material, group),
            clock.chart(material, group),
        ]
        parts[group.slug] = [one for one in drawn if one is not None]
    datasets = {(group.source, group.dataset) for group in material.groups}
    # A map of one dataset shows what its table does.
    several = [source for source, count in Counter(s for s, _ in datasets).items() if count > 1]
    parts["across"] = [heatmap.chart(material, source) for source in sorted(several)]
    return parts
