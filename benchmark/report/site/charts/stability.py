"""How often each row has each rank when patients are drawn anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmark.report.groups import Group, row_title
from benchmark.report.material import Material
from benchmark.report.numerals import number
from benchmark.report.site.charts import parts
from benchmark.statistics.ranking import SCHEMES

if TYPE_CHECKING:
    from benchmark.report.stability import Ranking

_ROW_PX = 36
_LEGEND_GREY = "#808b96"  # seen on a light and on a dark page


def chart(material: Material, group: Group) -> dict[str, Any] | None:
    """The ranking that the leaderboard uses, mean Dice; None where nothing was ranked."""
    one = next(
        (
            one
            for one in material.found
            if one.group.slug == group.slug
            and one.metric == "dice"
            and one.stability.scheme == SCHEMES[0]
        ),
        None,
    )
    if one is None:
        return None
    names, shares, (middle, low, high) = one.names, one.shares, one.limits
    colour, shape = parts.row_scales(names, material.looks)
    colour, shape = {**colour, "legend": None}, {**shape, "legend": None}
    titles = [row_title(*name) for name in names]
    y = {
        "field": "row",
        "type": "nominal",
        "title": None,
        "sort": titles,
        "axis": {"grid": True, "labelLimit": 190},
    }
    x = {
        "field": "rank",
        "type": "ordinal",
        "title": "rank",
        "scale": {"domain": list(range(1, len(names) + 1))},
        "axis": {"labelAngle": 0, "labelOverlap": True, "orient": "bottom"},
    }
    size = {
        "field": "share",
        "type": "quantitative",
        "title": "share of draws",
        "scale": {"domain": [0, 1], "range": [0, 0.7 * _ROW_PX**2]},
        "legend": {
            "format": ".0%",
            "values": [0.05, 0.25, 1],
            "symbolFillColor": _LEGEND_GREY,
            "symbolStrokeColor": _LEGEND_GREY,
        },
    }
    blobs = parts.table(
        ("i", "rank", "share"),
        (
            (index, place + 1, share)
            for index, row in enumerate(shares)
            for place, share in enumerate(row)
            if share
        ),
    )
    limits = parts.table(
        ("i", "rank", "low", "high", "middle"),
        (
            (index, one.stability.ranks[index], low[index], high[index], middle[index])
            for index in range(len(names))
        ),
    )
    rows = [parts.named_rows(names)]
    about = [
        *parts.tooltip(row="Architecture"),
        parts.number_line("rank", "Rank in the table", "d"),
        parts.number_line("middle", "Median of draws", "d"),
        parts.number_line("low", "95 % of draws, from", "d"),
        parts.number_line("high", "to", "d"),
    ]
    layers: list[dict[str, Any]] = [
        {
            "data": blobs,
            "transform": rows,
            "mark": {"type": "circle", "opacity": 0.55},
            "encoding": {
                "size": size, "color": colour,
                "tooltip": [
                    *parts.tooltip(row="Architecture"),
                    parts.number_line("rank", "Rank", "d"),
                    parts.number_line("share", "Share of draws", ".1%"),
                ],
            },
        },
        {
            "data": limits,
            "transform": rows,
            "layer": [
                {
                    "mark": {"type": "rule", "style": "interval"},
                    "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"},
                                 "tooltip": about},
                },
                {
                    "mark": {"type": "tick", "style": "median", "orient": "vertical", "size": 14},
                    "encoding": {"x": {**x, "field": "middle"}, "tooltip": about},
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1,
                             "style": "rank"},
                    "encoding": {"stroke": colour, "shape": shape,
                                 "tooltip": about},
                },
            ],
        },
    ]  # fmt: skip
    return parts.chart(
        f"stability-{group.slug}",
        f"{group.title}: stability of the ranks by mean Dice",
        group.subtitle,
        _description(one),
        {
            "height": _ROW_PX * len(names) + 20,
            "encoding": {"x": x, "y": y},
            "layer": layers,
        },
        phantom=group.phantom,
    )


def _description(one: Ranking) -> str:
    draws = len(one.stability.drawn_ranks)
    firsts = ", ".join(
        f"{row_title(*name)} {share:.1%}"
        for name, share in zip(one.names, one.shares[:, 0], strict=True)
        if share
    )
    sentences = [
        f"Ranks in {draws:,} bootstrap draws of {one.patients} patients: the area of a circle is "
        "the share of draws with that rank, the bar spans 95 % of them, its tick is their median, "
        f"the hollow marker is the rank in the table. Ranked first: {firsts}."
    ]
    median, low, high = (number(value, 2) for value in one.tau)
    if median != "—":
        sentences.append(f"Kendall's τ with the table: median {median}, 95 % from {low} to {high}.")
    return " ".join(sentences)
