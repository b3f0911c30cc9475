"""The input pipeline: how many patches a second, and whether a training ever waits for them.

Part of `make bench`, and alone: `python -m tests.bench.pipeline [--data-root DIR]`. It is no test.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import architectures
import datasets
from benchmark.data.cache import Cache, CachedCase
from benchmark.data.pipeline import training_batches
from benchmark.experiment.partition import split_of
from benchmark.experiment.plan import make_plan
from benchmark.experiment.sources import ensure_phantoms
from benchmark.experiment.spec import RunSpec
from benchmark.timing import summarise_epochs, summarise_steps, summarise_waits

ROOT = Path(__file__).resolve().parents[2]
SPAN_S = 1.0  # of each stream
EPOCHS, STEPS = 4, 40  # of each training
TRAINED = {"acdc": ("unet", "vnet")}  # one planar network and one volumetric
COLUMNS = (
    "data", "patch", "batch", "patches/s, 1 thread", "2 threads", "CPU ms per patch", "network",
    "step ms", "share of a step", "waiting", "epoch / (steps × median)",
)  # fmt: skip
NOTES = (
    "Patches per second: cutting, augmenting, standardising and batching alone; processor time "
    "with one thread. Share of a step: processor time of its batch over that of all processors "
    "in a median step. Waiting: part of the steps' time until their batch was there. The last "
    f"column is the median over the epochs after the first; {EPOCHS} epochs of {STEPS} steps.",
)


def rows(folder: Path, *, data_root: Path | None = None) -> Iterator[tuple[str, ...]]:
    """Yield one row of cells, as in `COLUMNS`, for each form of each dataset of the quick profile.

    Args:
        folder: Where phantoms and prepared cases lie.
        data_root: Folder with real data; without one, phantoms are measured.
    """
    plan = make_plan(
        ROOT / "experiments.yaml", results=folder, profile="quick", data_root=data_root,
        mode=None if data_root else "phantom",
    )  # fmt: skip
    ensure_phantoms(plan.experiment, plan.sources, folder)
    specs = {(run.spec.dataset, run.spec.dims, run.spec.architecture): run.spec
             for run in plan.runs}  # fmt: skip
    for (dataset, dims), group in itertools.groupby(sorted(specs), key=lambda key: key[:2]):
        members = [specs[key] for key in group]
        wanted = TRAINED.get(dataset, ())
        spec = next((each for each in members if each.architecture in wanted), members[0])
        training, validation = _cases(spec, plan.sources[dataset].root, folder)
        one, two = (stream(training, spec, threads=threads) for threads in (1, 2))
        cells = (
            f"{dataset}, {spec.source}, {dims}D",
            "×".join(map(str, spec.patch)),
            str(spec.batch_size),
            f"{one[0]:.0f}",
            f"{two[0]:.0f}",
            f"{one[1]:.2f}",
        )
        if spec.architecture not in wanted:
            yield (*cells, *("—" for _ in COLUMNS[len(cells) :]))
            continue
        found = train(spec, training, validation, folder)
        share = spec.batch_size * one[1] / (found["threads"] * found["step_ms_p50"])
        yield (
            *cells,
            architectures.describe(spec.architecture).title,
            f"{found['step_ms_p50']:.0f}",
            f"{100 * share:.1f} %",
            f"{100 * found['wait_share']:.2f} %",
            f"{found['epoch_ratio']:.3f}",
        )


def stream(cases: Sequence[CachedCase], spec: RunSpec, *, threads: int) -> tuple[float, float]:
    """Return the patches per second of a stream alone, and processor milliseconds of each."""
    batches = training_batches(
        cases, patch=spec.patch, batch_size=spec.batch_size, threads=threads,
        augmentation=spec.protocol.augmentation, seed=spec.seed_for("order"), stop=10**9,
    )  # fmt: skip
    with closing(batches):
        for _ in range(10):  # more than are made ahead
            next(batches)
        begin, used, count = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() < begin + SPAN_S:
            count += len(next(batches)[0])
        return (
            count / (time.perf_counter() - begin),
            1e3 * (time.process_time() - used) / count,
        )


def train(
    spec: RunSpec, training: Sequence[CachedCase], validation: Sequence[CachedCase], folder: Path
) -> dict[str, Any]:
    """Train for a few short epochs, as a run does; return what a record says of its times."""
    from benchmark.training import devices
    from benchmark.training.fit import fit

    protocol = dataclasses.replace(
        spec.protocol, track="epochs", epochs=EPOCHS, steps_per_epoch=(STEPS, STEPS)
    )
    short = dataclasses.replace(spec, protocol=protocol)
    device = devices.configure(
        precision=protocol.precision, compilation=protocol.compile, dims=spec.dims,
        seed=spec.seed_for("init"), deterministic=protocol.deterministic,
    )  # fmt: skip
    classes = len(datasets.info(spec.dataset).classes) + 1
    model = architectures.build(spec.architecture, (*spec.patch, 1), classes, **spec.options)
    with tempfile.TemporaryDirectory(dir=folder) as run:
        fitted = fit(
            model, short, training, validation,
            classes=classes, device=device, folder=Path(run), emit=lambda event: None,
        )  # fmt: skip
    steps = summarise_steps(fitted.step_s, spec.batch_size)
    return {
        "threads": device.threads,
        **steps,
        **summarise_waits(fitted.step_s, fitted.wait_s),
        **summarise_epochs(fitted.epoch_s, fitted.epoch_steps, steps["step_ms_p50"]),
    }


def _cases(
    spec: RunSpec, root: Path, folder: Path
) -> tuple[Sequence[CachedCase], Sequence[CachedCase]]:
    """Return the prepared training and validation cases of a run, once read and thus in memory."""
    protocol = spec.protocol
    cases = datasets.read_cases(spec.dataset, root)
    split = split_of(protocol, cases, spec.fold)
    by_id = {case.id: case for case in cases}
    cache = Cache(folder / "cache", datasets.info(spec.dataset), protocol.spacing_mm)
    training, validation = (
        cache.load([by_id[case] for case in side]) for side in (split.train, split.validation)
    )
    for cached in training:
        cached.prepared.in_memory()
    return training, validation


def main() -> None:
    """Measure and print as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pipeline", description=__doc__)
    parser.add_argument("--data-root", type=Path, help="real data (phantoms)")
    parser.add_argument("--folder", type=Path, help="keeps phantoms and prepared cases")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        head = [COLUMNS, ("---",) * len(COLUMNS)]
        for row in itertools.chain(head, rows(folder, data_root=options.data_root)):
            sys.stdout.write("| " + " | ".join(row) + " |\n")
            sys.stdout.flush()
    sys.stdout.write("\n" + "\n".join(NOTES) + "\n")


if __name__ == "__main__":
    main()
