"""The matrix: configuration and the data at hand become run specifications."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import architectures
import datasets
from benchmark.experiment.config import DatasetSection, Experiment
from benchmark.experiment.matrix_rules import Cell
from benchmark.experiment.spec import Protocol, RunSpec
from benchmark.experiment.tuning_section import check_found_here

# Files of both rooms that no network is made from and no case is read by.
BOOK_KEEPING = ("references", "cost", "source", "verify", "truth", "census")

# Positions along an axis below which pooling leaves nothing to convolve.
SMALLEST_FEATURE_MAP = 4


@dataclass(frozen=True)
class Source:
    """Where the files of one dataset lie and what they are.

    Attributes:
        root: Folder of the release.
        source: ``real`` or ``phantom``.
        fingerprint: Digest of the labelled cases on disk.
        cases: Number of labelled cases.
        patients: Number of patients.
        release: What the files are if not the official release, such as ``LA2018``.
    """

    root: Path
    source: str
    fingerprint: str
    cases: int
    patients: int
    release: str = ""


def expand(
    experiment: Experiment,
    cells: Iterable[Cell],
    sources: Mapping[str, Source],
    starts: Mapping[tuple[str, str, int | None], Mapping[str, str]] | None = None,
) -> list[RunSpec]:
    """Return the runs of the cells that no rule takes out, in the order of the cells.

    What folds and seeds share (protocol, network, digest of the code) is worked out once. Where an
    entry of ``include`` repeats a run of the product, the run is there once. A cell with a tuned
    recipe is there twice: as the file has it, and tuned. ``starts`` says which networks start from
    the weights of another run.

    Raises:
        ConfigError: A tuned recipe was found on other files or another split.
    """
    protocols: dict[str, Protocol] = {}
    code: dict[tuple[str, str], str] = {}
    options: dict[tuple[str, str, int | None], dict[str, Any]] = {}
    specs: dict[str, RunSpec] = {}
    for cell in cells:
        if cell.exclude is not None:
            continue
        pair = cell.architecture, cell.dataset
        if cell.dataset not in protocols:
            protocols[cell.dataset] = resolve_protocol(experiment, cell.dataset)
        protocol = protocols[cell.dataset]
        if pair not in code:
            code[pair] = code_digest(*pair)
        network = *pair, cell.include
        if network not in options:
            options[network] = resolve_options(experiment, cell, protocol)
        spec = RunSpec(
            architecture=cell.architecture,
            options=options[network],
            dims=experiment.dims_for(cell),
            dataset=cell.dataset,
            source=sources[cell.dataset].source,
            fingerprint=sources[cell.dataset].fingerprint,
            code=code[pair],
            fold=cell.fold,
            seed=cell.seed,
            protocol=protocol,
            init_from=(starts or {}).get(network, {}),
        )
        specs.setdefault(spec.key, spec)
        recipe = experiment.recipe_for(cell)
        if recipe is not None:
            place = experiment.place("tuned", *pair, cell.fold)
            check_found_here(recipe, spec, place)
            tuned = with_recipe(experiment, cell, spec, recipe.protocol, recipe.options)
            tuned = replace(
                tuned,
                tuned={
                    "study": recipe.study,
                    "trials": recipe.trials,
                    "cost_s": recipe.cost_s,
                    "base": {name: spec.protocol.plain[name] for name in recipe.protocol},
                },
            )
            specs.setdefault(tuned.key, tuned)
    return list(specs.values())


def with_recipe(
    experiment: Experiment,
    cell: Cell,
    spec: RunSpec,
    protocol: Mapping[str, Any],
    options: Mapping[str, Any],
) -> RunSpec:
    """Return the run of a cell with some fields of its protocol and options replaced."""
    rules = resolve_protocol(experiment, cell.dataset, protocol)
    resolved = resolve_options(experiment, cell, rules, options)
    return replace(spec, protocol=rules, options=resolved)


def resolve_options(
    experiment: Experiment,
    cell: Cell,
    protocol: Protocol,
    recipe: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the options of a network with the pooling of volumetric ones fitted to the spacing.

    Strides that the file gives are kept.
    """
    options = {**experiment.options_for(cell), **(recipe or {})}
    if experiment.dims_for(cell) == 3 and "strides" not in options:
        native = datasets.info(cell.dataset).spacing_mm
        spacing = [own if target is None else target
                   for own, target in zip(native, protocol.spacing_mm, strict=True)]  # fmt: skip
        levels = len(architectures.pooling(cell.architecture, 3, options))
        options["strides"] = pooling_plan(protocol.patch_3d, spacing, levels)
    return options


def pooling_plan(patch: Sequence[int], spacing_mm: Sequence[float], levels: int) -> list[list[int]]:
    """Return the stride of every pooling, finest first, so that features become isotropic.

    An axis is halved while it is less than twice as coarse as the finest axis that can still be
    halved, and while at least four positions remain: the idea of nnU-Net's planner (Isensee et
    al., Nature Methods 2021). A stack of 10 mm slices is not pooled along z until the planes have
    come near 10 mm.

    Args:
        patch: Input size in voxels, ``(z, y, x)``.
        spacing_mm: Spacing of the input, same order.
        levels: Number of poolings.
    """
    sizes, spacing = list(patch), list(spacing_mm)
    plan = []
    for _ in range(levels):
        able = [size // 2 >= SMALLEST_FEATURE_MAP and size % 2 == 0 for size in sizes]
        finest = min((mm for mm, can in zip(spacing, able, strict=True) if can), default=0.0)
        stride = [2 if can and mm < 2 * finest else 1
                  for mm, can in zip(spacing, able, strict=True)]  # fmt: skip
        sizes = [size // step for size, step in zip(sizes, stride, strict=True)]
        spacing = [mm * step for mm, step in zip(spacing, stride, strict=True)]
        plan.append(stride)
    return plan


def resolve_protocol(
    experiment: Experiment, dataset: str, recipe: Mapping[str, Any] | None = None
) -> Protocol:
    """Return the protocol of one dataset with its own grid and differences filled in."""
    section: DatasetSection = experiment.datasets[dataset]
    return Protocol(
        **experiment.protocol_for(dataset, recipe).model_dump(),
        spacing_mm=section.spacing_mm,
        patch_2d=section.patch_2d,
        patch_3d=section.patch_3d,
    )


def code_digest(architecture: str, dataset: str) -> str:
    """Digest the files that define a network and read a dataset: an edit makes a new run.

    A file of either room counts unless it belongs to another architecture or dataset. The rules of
    preparation, training and scoring count by their version, which is a field of its own.
    """
    sha = hashlib.sha256()
    for package, name in ((architectures, architecture), (datasets, dataset)):
        for file in sorted(Path(inspect.getfile(package)).parent.glob("*.py")):
            if file.stem == name or file.stem not in (*package.NAMES, *BOOK_KEEPING):
                sha.update(file.read_bytes())
    return sha.hexdigest()[:12]
