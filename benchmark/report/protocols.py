"""In what protocols differ, said field by field: why two groups of a dataset are not one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.report.groups import Group, Run

MIXED = "mixed"  # stands for the hash of a group that has several protocols


def newest(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last record of each cell: architecture, options, dataset, source, protocol, fold, seed.

    A results folder also keeps runs of earlier versions of the code under the same protocol; these
    are no further seeds of what is there now.
    """
    last: dict[str, dict[str, Any]] = {}
    for record in sorted(records, key=lambda record: record.get("finished_utc") or ""):
        axes = {name: value for name, value in record["spec"].items() if name != "code"}
        last[json.dumps([record["protocol_hash"], axes], sort_keys=True)] = record
    return list(last.values())


def join_protocols(
    keyed: Mapping[tuple[str, str, str], list[Run]],
) -> dict[tuple[str, str, str], list[Run]]:
    """Join the protocols of each dataset and source, and mark the variants of their runs."""
    joined: dict[tuple[str, str, str], list[Run]] = {}
    for dataset, source in dict.fromkeys(key[:2] for key in keyed):
        digests = sorted(key[2] for key in keyed if key[:2] == (dataset, source))
        if len(digests) == 1:
            joined[dataset, source, digests[0]] = keyed[dataset, source, digests[0]]
            continue
        joined[dataset, source, MIXED] = [
            replace(run, variant=", ".join(filter(None, [run.variant, f"†{number}"])))
            for number, digest in enumerate(digests, start=1)
            for run in keyed[dataset, source, digest]
        ]
    return joined


def differing(protocols: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the fields that are not the same in all protocols, sorted."""
    names = sorted({name for protocol in protocols for name in protocol})
    return [
        name
        for name in names
        if len({json.dumps(protocol.get(name), sort_keys=True) for protocol in protocols}) > 1
    ]


def apart(group: Group) -> str:
    """What tells a group from the others of its dataset: `` (differs in epochs)``, or nothing."""
    if not group.others:
        return ""
    names = differing([*group.protocols.values(), *group.others.values()])
    return f" (differs in {', '.join(names)})" if names else ""


def protocol_notes(group: Group) -> list[str]:
    """Sentences on protocols: what a mixed group mixes, or why other groups stand elsewhere."""
    if group.mixed:
        protocols = dict(sorted(group.protocols.items()))
        marks = (f"†{mark} protocol {digest[:8]}" for mark, digest in enumerate(protocols, start=1))
        return [
            "Protocols are mixed here on request: rows with different marks were not made under "
            "the same rules. They have no ranks and no tiers, and no test compares them. "
            f"{'; '.join(marks)}. They differ in {_values(list(protocols.values()))}.",
            *([f"Not among mixed protocols: {', '.join(group.absent)}."] if group.absent else []),
        ]
    own = list(group.protocols.values())
    return [
        f"Not in one table with protocol {digest[:8]}: they differ in {_values([*own, other])} "
        "(here | there)."
        for digest, other in sorted(group.others.items())
    ]


def _values(protocols: Sequence[Mapping[str, Any]]) -> str:
    """The fields that differ with their values: ``epochs: 5 | 7``."""
    fields = (
        f"{name}: {' | '.join(_shown(protocol.get(name)) for protocol in protocols)}"
        for name in differing(protocols)
    )
    # Records of earlier versions may say less than their hash knows.
    return "; ".join(fields) or "what their records do not tell"


def _shown(value: Any) -> str:
    """A value as a record has it; long ones, such as fingerprints, by their beginning."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 24 else f"{text[:8]}…"
