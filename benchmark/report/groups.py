"""Which runs may stand beside each other: the comparison groups.

Two numbers may share a table or an axis only if they come from the same dataset, the same source
(real scans or phantoms) and the same protocol. Such a set of runs is a *group*; everything in the
report is made group by group.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.records import stands_beside
from benchmark.report import style, tuned
from benchmark.report.protocols import MIXED, join_protocols

OK = "ok"
EXTERNAL = style.EXTERNAL

# Among the options of a run that started from another's weights: which that was.
START = "init_from"

_CASE_COLUMNS = (
    *("run", "architecture", "dataset", "source", "fold", "seed", "case", "patient", "class"),
    *("kind", "outcome", "dice", "iou"),
)
_EPOCH_COLUMNS = ("run", "architecture", "epoch", "loss", "validation_dice", "elapsed_s")


@dataclass(frozen=True)
class Run:
    """The parts of a record that a report uses.

    ``variant`` tells runs of one architecture in one group apart when their options differ; it is
    empty when they do not. That of an external entry, which is no run of ours, is ``external``.
    """

    key: str
    status: str
    error: str | None
    architecture: str
    variant: str
    options: Mapping[str, Any]
    dataset: str
    source: str
    protocol_hash: str
    profile: str
    fold: int
    seed: int
    classes: tuple[str, ...]
    labels: Mapping[str, int]
    unannotated: tuple[str, ...]
    parameters: float
    timing: Mapping[str, Any]
    path: Path
    release: str = ""
    device: Mapping[str, Any] = field(default_factory=dict)
    external: bool = False
    protocol: Mapping[str, Any] = field(default_factory=dict)
    postprocessing: Mapping[str, Any] = field(default_factory=dict)
    gmacs: float = float("nan")
    energy: Mapping[str, Any] = field(default_factory=dict)
    tuned: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> tuple[str, str]:
        """What is compared: the architecture and its variant."""
        return self.architecture, self.variant

    @property
    def title(self) -> str:
        """The name as people write it."""
        return row_title(self.architecture, self.variant)

    @property
    def ok(self) -> bool:
        """Whether the run ended with scores."""
        return self.status == OK


@dataclass(frozen=True)
class Group:
    """Runs that may be compared.

    Attributes:
        title: the dataset, and whatever is needed to tell this group from the others.
        slug: the same for file names, such as ``acdc_phantom``.
        runs: sorted by architecture, fold and seed.
        cases: the rows of ``cases.csv`` of the runs that are ok, plus a column ``variant``; classes
            alone, so that every mean over them is one over classes.
        regions: the rows of the same files that score unions of classes.
        epochs: the rows of ``epochs.csv`` of all runs, plus a column ``variant``.
        others: the protocols of groups of the same dataset and source, by their hash.
        absent: titles of external entries that a mixed group leaves out.
    """

    dataset: str
    source: str
    protocol_hash: str
    title: str
    slug: str
    runs: tuple[Run, ...]
    cases: pd.DataFrame
    epochs: pd.DataFrame
    regions: pd.DataFrame = field(default_factory=pd.DataFrame)
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    @property
    def protocols(self) -> dict[str, Mapping[str, Any]]:
        """What each protocol in the group says, by its hash; more than one only on request."""
        return {run.protocol_hash: run.protocol for run in reversed(self.runs)}

    @property
    def mixed(self) -> bool:
        """Whether runs of several protocols stand in this group."""
        return len(self.protocols) > 1

    @property
    def protocol_of(self) -> dict[str, str]:
        """The hash of each run's protocol by its key."""
        return {run.key: run.protocol_hash for run in self.runs}

    @property
    def phantom(self) -> bool:
        """Whether the group was made from synthetic hearts."""
        return self.source == "phantom"

    @property
    def tuned(self) -> bool:
        """Whether the group is one of tuned recipes."""
        return any(run.tuned for run in self.runs)

    @property
    def names(self) -> list[tuple[str, str]]:
        """Every ``(architecture, variant)`` of the group, in the order of the report."""
        return list(dict.fromkeys(run.name for run in self.runs))

    @property
    def labels(self) -> dict[str, int]:
        """The label of each scored class in a mask."""
        return {name: label for run in self.runs for name, label in run.labels.items()}

    @property
    def classes(self) -> list[str]:
        """Names of the scored classes in the order of their labels."""
        labels = self.labels
        return sorted(labels, key=lambda name: (labels[name], name))

    @property
    def region_names(self) -> list[str]:
        """Names of the scored unions of classes."""
        return sorted(self.regions["class"].unique()) if len(self.regions) else []

    @property
    def unannotated(self) -> list[str]:
        """Classes of the dataset that the files at hand do not annotate."""
        return sorted({name for run in self.runs for name in run.unannotated})

    @property
    def subtitle(self) -> str:
        """What the group rests on: ``real data, n = 10 patients, 20 cases · protocol 0123abcd``."""
        patients, cases = (
            self.cases[name].nunique() if len(self.cases) else 0 for name in ("patient", "case")
        )
        profiles = "/".join(sorted({run.profile for run in self.runs} - {""}))
        return " · ".join(
            [
                f"{self.source} data, n = {patients} patients, {cases} cases",
                *([f"profile {profiles}"] if profiles else []),
                "mixed protocols" if self.mixed else f"protocol {self.protocol_hash[:8]}",
            ]
        )

    @property
    def failures(self) -> list[str]:
        """What legends say of runs that failed: ``V-Net: — (oom)``."""
        notes = []
        for name in self.names:
            runs = self.of(name)
            failed = [run for run in runs if not run.ok]
            if failed:
                some = f"{len(failed)} of {len(runs)} runs " if len(failed) < len(runs) else ""
                causes = ", ".join(sorted({run.status for run in failed}))
                notes.append(f"{row_title(*name)}: {some}— ({causes})")
        return notes

    def of(self, name: tuple[str, str]) -> list[Run]:
        """The runs of one architecture and variant."""
        return [run for run in self.runs if run.name == name]


def dataset_title(runs: Sequence[Run]) -> str:
    """The dataset as people write it, with the name of files that are not its official release."""
    releases = ", ".join(sorted({run.release for run in runs} - {""}))
    title = style.dataset_title(runs[0].dataset)
    return f"{title} ({releases})" if releases else title


def row_title(architecture: str, variant: str) -> str:
    """An architecture and its variant as people write them."""
    title = style.architecture_title(architecture)
    return f"{title} ({variant})" if variant else title


def comparison_groups(
    records: Sequence[Mapping[str, Any]],
    cases: pd.DataFrame,
    epochs: pd.DataFrame,
    *,
    mix_protocols: bool = False,
) -> list[Group]:
    """Sort records, cases and epochs into groups, in the order dataset, source, protocol.

    Args:
        records: parsed ``record.json`` files, each with ``path``, the folder of the run. External
            entries among them join every group of runs that were scored on the same files by the
            same definitions, with the cases that those runs tested.
        cases: the rows of all ``cases.csv``; may be empty.
        epochs: the rows of all ``epochs.csv`` with a column ``run``; may be empty.
        mix_protocols: put all protocols of one dataset and source into one group; the variant of
            each run then carries the mark of its protocol.
    """
    runs = [_parse(record) for record in records if not record.get("external")]
    entries = [record for record in records if record.get("external")]
    by_key = {str(record["key"]): record for record in records}
    keyed: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        keyed.setdefault((run.dataset, run.source, run.protocol_hash), []).append(run)
    keyed = {key: _with_variants(members) for key, members in keyed.items()}
    protocols = {key: members[0].protocol for key, members in keyed.items()}
    if mix_protocols:
        keyed = join_protocols(keyed)
    # Split the two tables once: filtering them anew for every group would be quadratic.
    cases_of = _by_run(cases)
    epochs_of = _by_run(epochs)
    groups = []
    for (dataset, source, digest), members in sorted(keyed.items()):
        ordered = sorted(members, key=_order)
        others = {
            key[2]: protocol
            for key, protocol in protocols.items()
            if key[:2] == (dataset, source) and key[2] != digest
        }
        title, slug = dataset_title(ordered), f"{dataset}_{source}"
        if digest != MIXED and ordered[0].tuned:
            title += f" · {tuned.TITLE}"
            slug += "_tuned"
        if digest == MIXED:
            title += " · mixed protocols"
            slug += "_mixed"
        elif others:
            profiles = sorted({run.profile for run in ordered} - {""})
            title += f" · {'/'.join(profiles) or 'protocol'} {digest[:8]}"
            slug += f"_{digest[:8]}"
        rows = _rows((run for run in ordered if run.ok), cases_of, _CASE_COLUMNS)
        guests = [
            replace(_parse(entry), protocol_hash=digest, variant=EXTERNAL, external=True)
            for entry in entries
            if any(stands_beside(entry, by_key[run.key]) for run in ordered)
        ]
        # Which of several protocols an entry belongs to is not known.
        absent = tuple(guest.title for guest in guests) if digest == MIXED else ()
        if guests and len(rows) and not absent:
            theirs = _rows(guests, cases_of, _CASE_COLUMNS)
            rows = pd.concat([rows, theirs[theirs["case"].isin(rows["case"])]], ignore_index=True)
            ordered += guests
        is_region = rows.get("kind", pd.Series("class", rows.index)) == "region"
        groups.append(
            Group(
                dataset=dataset,
                source=source,
                protocol_hash=digest,
                title=title,
                slug=slug,
                runs=tuple(ordered),
                cases=rows[~is_region].reset_index(drop=True),
                epochs=_rows(ordered, epochs_of, _EPOCH_COLUMNS),
                regions=rows[is_region].reset_index(drop=True),
                others=others,
                absent=absent,
            )
        )
    return groups


def _parse(record: Mapping[str, Any]) -> Run:
    """Read one record; what a failed run could not write is empty."""
    spec = record["spec"]
    options = dict(spec.get("options") or {})
    if spec.get("dims"):
        options["dims"] = spec["dims"]
    if spec.get("init_from"):
        options[START] = record.get("init_from") or spec["init_from"]
    labels = dict(record.get("classes") or {})
    unannotated = tuple(record.get("unannotated_classes") or ())
    parameters = record.get("params")
    return Run(
        key=str(record["key"]),
        status=str(record["status"]),
        error=record.get("error"),
        architecture=str(spec["architecture"]),
        variant="",
        options=options,
        dataset=str(spec["dataset"]),
        source=str(spec["source"]),
        protocol_hash=str(record.get("protocol_hash", "")),
        profile=str(record.get("profile") or ""),
        fold=int(spec["fold"]),
        seed=int(spec["seed"]),
        classes=tuple(name for name in labels if name not in unannotated),
        labels={name: label for name, label in labels.items() if name not in unannotated},
        unannotated=unannotated,
        parameters=float("nan") if parameters is None else float(parameters),
        timing=dict(record.get("timing") or {}),
        path=Path(record["path"]),
        release=str(record.get("release") or ""),
        device=dict((record.get("environment") or {}).get("device") or {}),
        protocol=_protocol(spec),
        postprocessing=dict(record.get("postprocessing") or {}),
        gmacs=float(record.get("gmacs") or "nan"),
        energy=dict(record.get("energy") or {}),
        tuned=dict(spec.get("tuned") or {}),
    )


def _protocol(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared under, as the protocol's hash has it: the files, too, but no tuned value."""
    protocol = dict(spec.get("protocol") or {}) | {"files": spec.get("fingerprint")}
    recipe = spec.get("tuned")
    return protocol | (recipe["base"] | {"recipe": "tuned"} if recipe else {"recipe": "as given"})


def _with_variants(runs: Sequence[Run]) -> list[Run]:
    """Name the options in which runs of one architecture differ."""
    result = []
    for architecture in dict.fromkeys(run.architecture for run in runs):
        siblings = [run for run in runs if run.architecture == architecture]
        if siblings[0].tuned:  # and so are all of this protocol: what was found tells none apart
            result += [replace(run, variant=tuned.mark(row))
                       for row in tuned.rows_of(siblings) for run in row]  # fmt: skip
            continue
        texts = [
            {key: json.dumps(value, sort_keys=True) for key, value in run.options.items()}
            for run in siblings
        ]
        keys = sorted({key for text in texts for key in text})
        # That a run was fine-tuned is said even where no other was trained from scratch.
        differing = [
            key for key in keys if len({text.get(key) for text in texts}) > 1 or key == START
        ]
        for run, text in zip(siblings, texts, strict=True):
            parts = [
                _start(run, siblings) if key == START
                else f"{text[key]}D" if key == "dims" else f"{key}={text[key]}"
                for key in differing
                if key in text
            ]  # fmt: skip
            if START in differing and START not in text:
                parts.append("from scratch")
            result.append(replace(run, variant=", ".join(parts) or ("default" * bool(differing))))
    return result


def _start(run: Run, siblings: Sequence[Run]) -> str:
    """``from decathlon``, with the key of the run where several of that dataset were taken."""
    mine = run.options[START]
    alike = {
        other.options[START]["run"]
        for other in siblings
        if START in other.options and other.options[START]["dataset"] == mine["dataset"]
    }
    return f"from {mine['dataset']}" + (f" {mine['run'][:6]}" if len(alike) > 1 else "")


def _order(run: Run) -> tuple[int, str, str, int, int, str]:
    known = list(style.ARCHITECTURE_TITLES)
    place = known.index(run.architecture) if run.architecture in known else len(known)
    return place, run.architecture, run.variant, run.fold, run.seed, run.key


def _by_run(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    if frame.empty:
        return {}
    return {str(key): part for key, part in frame.groupby("run", sort=False)}


def _rows(
    runs: Iterable[Run], parts: Mapping[str, pd.DataFrame], columns: Iterable[str]
) -> pd.DataFrame:
    """The rows of some runs, in the order of the runs, with their variant."""
    found = [parts[run.key].assign(variant=run.variant) for run in runs if run.key in parts]
    if not found:
        return pd.DataFrame(columns=[*columns, "variant"])
    return pd.concat(found, ignore_index=True)
