"""A finished run as a tool: found by the names people use, loaded as it was trained."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import BenchmarkError
from benchmark.experiment.spec import RunSpec
from benchmark.records import WEIGHTS, is_trial, read_record, read_records

if TYPE_CHECKING:
    from benchmark.evaluation.inference import Predictor

# How a run may be named, for help texts.
NAMES = "a key or its beginning, an MLflow run id, best:DATASET or best:DATASET/ARCHITECTURE"


@dataclass(frozen=True)
class Trained:
    """A finished run whose weights are at hand.

    Attributes:
        folder: The run's folder.
        record: Its record.
        spec: What was run.
    """

    folder: Path
    record: Mapping[str, Any]
    spec: RunSpec

    @property
    def title(self) -> str:
        """Name and key, by which people know the run."""
        return f"{self.spec.name} ({self.spec.key})"

    @property
    def classes(self) -> dict[str, int]:
        """Label of each class by its name, as trained."""
        return dict(self.record["classes"])

    @property
    def largest(self) -> tuple[int, ...]:
        """Labels of which the run keeps only the largest piece, as part of its inference."""
        decision = self.record.get("postprocessing") or {"classes": {}}
        return tuple(
            label
            for name, label in self.classes.items()
            if decision["classes"].get(name, {}).get("applied")
        )

    def network(self, *, precision: str | None = None) -> Any:
        """Build the network on this process's device and give it the run's best weights.

        Args:
            precision: Keras dtype policy; by default the one in which the run was trained and
                scored, with which its predictions are the same numbers again.

        Raises:
            BenchmarkError: Keras has been imported with another backend than the run's, or the
                weights do not fit the network as the code builds it today.
        """
        _choose_backend(self.spec.protocol.backend)
        import architectures
        from benchmark.training import devices

        spec = self.spec
        device = devices.configure(
            precision=precision or self.record["environment"]["device"]["precision"],
            compilation=spec.protocol.compile,
            dims=spec.dims,
            seed=spec.seed_for("init"),
        )
        model = architectures.build(
            spec.architecture, (*spec.patch, 1), len(self.classes) + 1, **spec.options
        )
        model.jit_compile = device.jit_compile  # of itself a model that is not compiled takes XLA
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what does not fit; the error says it
                model.load_weights(self.folder / WEIGHTS)
        except (ValueError, KeyError, OSError) as error:
            raise BenchmarkError(
                f"{self.folder / WEIGHTS}: expected the weights of {spec.architecture} as this "
                f"version builds it: {str(error).splitlines()[0]} Run it again, or use the version "
                "that trained it."
            ) from None
        return model

    def predictor(self, *, precision: str | None = None) -> Predictor:
        """Return the network with the windows, batches and activation of the run.

        Raises:
            BenchmarkError: As :meth:`network`.
        """
        model = self.network(precision=precision)
        from architectures.folding import Folded
        from benchmark.evaluation.inference import Predictor

        # As the run itself predicted: the same numbers again.
        shared = self.record["environment"]["device"].get("count", 1) > 1
        return Predictor(
            model if shared else Folded(model),
            self.spec.patch,
            batch_size=self.spec.batch_size,
            overlap=self.spec.protocol.overlap,
            exclusive=self.spec.protocol.loss != "one_vs_rest",
        )


def _tell(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")


def find(
    results: Path,
    name: str,
    *,
    original: bool = False,
    on_damage: Callable[[str], None] = _tell,
) -> Trained:
    """Return the run of that name.

    ``best:`` takes the run with the highest Dice on its validation patients: test cases choose
    nothing. A run on real scans goes before one on phantoms.

    Args:
        results: Results folder.
        name: A key or its beginning (4 digits at least), the id of an MLflow run, ``best:acdc`` or
            ``best:acdc/unet``.
        original: ``best:`` leaves out runs that start from the weights of another or whose recipe
            was tuned. A start is named so: what comes of it must not become the start itself.
        on_damage: Told of damaged records, among which ``best:`` cannot choose; by default standard
            error.

    Raises:
        BenchmarkError: No run, or more than one, is meant; or it did not finish; or its weights
            are gone.
    """
    if name.startswith("best:"):
        return _best(results, name, original=original, on_damage=on_damage)
    if re.fullmatch(r"[0-9a-f]{32}", name):
        from benchmark.tracking.lookup import key_of

        return open_run(results / "runs" / key_of(results, name))
    if not re.fullmatch(r"[0-9a-f]{4,12}", name):
        raise BenchmarkError(f"expected the name of a run ({NAMES}); received {name!r}.")
    folders = [path for path in sorted((results / "runs").glob(f"{name}*")) if path.is_dir()]
    if len(folders) != 1:
        found = ", ".join(path.name for path in folders[:5]) or "none"
        raise BenchmarkError(
            f"expected one run whose key begins with {name} in {results / 'runs'}, found {found}."
        )
    return open_run(folders[0])


def _best(results: Path, name: str, *, original: bool, on_damage: Callable[[str], None]) -> Trained:
    dataset, _, architecture = name.removeprefix("best:").partition("/")
    finished = [
        record
        for record in read_records(results, on_damage=on_damage)
        if record["status"] == "ok"
        and (record["path"] / WEIGHTS).exists()
        and not is_trial(record)
        and not (original and (record["spec"].get("init_from") or record["spec"].get("tuned")))
    ]
    fitting = [
        record
        for record in finished
        if record["spec"]["dataset"] == dataset
        and architecture in ("", record["spec"]["architecture"])
    ]
    if not fitting:
        known = sorted(
            {f"best:{each['spec']['dataset']}/{each['spec']['architecture']}" for each in finished}
        )
        raise BenchmarkError(
            f"expected a finished run for {name} in {results / 'runs'}, found "
            f"{', '.join(known) or 'no finished run at all'}."
        )
    best = max(
        fitting,
        key=lambda each: (each["spec"]["source"] == "real", each["summary"]["validation_dice"]),
    )
    return open_run(best["path"])


def open_run(folder: Path) -> Trained:
    """Return the run in a folder.

    Raises:
        BenchmarkError: There is no finished run, or its weights are gone.
    """
    record = read_record(folder)
    if record is None:
        raise BenchmarkError(
            f"{folder}: expected the record of a run, found none: it is unknown or not finished."
        )
    if record["status"] != "ok":
        raise BenchmarkError(
            f"{folder}: expected a run that is ok, its status is {record['status']} "
            f"({record.get('error')})."
        )
    if is_trial(record):
        raise BenchmarkError(
            f"{folder}: expected a run with weights and test scores, found a trial of a search, "
            "which keeps neither. Run the recipe that the search has found."
        )
    if not (folder / WEIGHTS).exists():
        raise BenchmarkError(
            f"{folder / WEIGHTS}: expected the weights of the run, found none. Delete the folder "
            "and run it again."
        )
    return Trained(folder, record, RunSpec.from_dict(record["spec"]))


def _choose_backend(wanted: str) -> None:
    """Have Keras import this backend, or say why it cannot."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = wanted
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # as the workers have it
        return
    found = sys.modules["keras"].backend.backend()
    if found != wanted:
        raise BenchmarkError(
            f"expected Keras with the backend {wanted}, with which the run was trained, found "
            f"{found} loaded already. Use one process for each."
        )
