"""From images to masks: check all, load the networks, predict one after the other."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import datasets
from benchmark import environment
from benchmark.data.preprocessing import Array, Labels, prepare, target_shape
from benchmark.errors import BenchmarkError, DataError
from benchmark.evaluation.inference import label_map, native_blocks
from benchmark.evaluation.postprocessing import keep_largest
from benchmark.prediction import cine, measurements
from benchmark.prediction.committee import VIEWS, Committee, cleaned, members
from benchmark.prediction.inputs import Item, find_images, mask_path
from benchmark.prediction.orientation import trained_codes
from benchmark.prediction.output import Probabilities, staged, write_mask
from benchmark.prediction.pictures import draw_curve, draw_overlay
from benchmark.prediction.scan import Scan, read_scan
from benchmark.records import write_json, write_table
from benchmark.trained import Trained
from datasets import nifti
from datasets.case import DatasetError
from datasets.grid import MOST_VOXELS

Progress = Callable[[str, int, int], None]

# Of the sides of a split, the one that tells most about what a network knows of a patient.
_SIDES = ("train", "validation", "test")
_NAMED = 10


@dataclass(frozen=True)
class Wish:
    """How images are to be predicted.

    Attributes:
        mirror: Average over the image and its mirror images in the plane.
        ensemble: Average over the runs of all ``folds`` or ``seeds``; None takes one run.
        probabilities: Write class probabilities too.
        skip_bad: Leave images out that cannot be used, instead of refusing all.
        test_only: Of the dataset's own tree, take the patients that the run was tested on.
    """

    mirror: bool = False
    ensemble: str | None = None
    probabilities: bool = False
    skip_bad: bool = False
    test_only: bool = False


@dataclass
class Outcome:
    """What was done.

    Attributes:
        images: What `predict.json` says of each image.
        rows: Those of `measurements.csv`.
        failures: Why each of the others was not predicted, by its path.
        notes: What a user should know.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def predict(
    trained: Trained,
    places: Sequence[Path],
    out: Path,
    wish: Wish,
    *,
    results: Path,
    progress: Progress = lambda what, done, total: None,
) -> Outcome:
    """Predict images and write masks, pictures, measurements and `predict.json`.

    All images are read and looked at before a network is loaded and anything is written, so a bad
    one is told at once. The outputs of one image appear together or not at all; an image that is
    lost on the way (its file was changed or taken away) does not take the others with it.

    Args:
        trained: The run.
        places: Images, folders of images, or the dataset's tree.
        out: Folder for the outputs; made if absent.
        wish: How.
        results: Results folder, where the other runs of an ensemble are.
        progress: Called with what is done, how many images are done, and of how many.

    Raises:
        BenchmarkError: The request cannot be carried out; nothing has been written then.
        DatasetError: The dataset's tree is not as it should be.
    """
    if out.exists() and not out.is_dir():
        raise BenchmarkError(f"-o {out}: expected a folder, found a file.")
    runs = members(results, trained, wish.ensemble)
    info = datasets.info(trained.spec.dataset)
    task = _Task(trained, runs, out, wish, trained_codes(trained.folder))
    items = find_images(places, info, out)
    if wish.test_only:
        items = _tested(items, trained)
    outcome = Outcome()
    good: list[Item] = []
    for number, item in enumerate(items):
        progress("checking", number, len(items))
        try:
            task.read(item).check()
            good.append(item)
        except (DatasetError, DataError) as error:
            outcome.failures[str(item.path)] = str(error)
    if outcome.failures and (not wish.skip_bad or not good):
        raise _refused(outcome.failures, len(items))
    committee = Committee([run.predictor() for run in runs], VIEWS if wish.mirror else VIEWS[:1])
    endpoints = measurements.Endpoints(task.classes)
    for number, item in enumerate(good):
        progress("predicting", number, len(good))
        try:
            task.one(item, committee, endpoints, outcome)
        except (DatasetError, DataError) as error:
            outcome.failures[str(item.path)] = str(error)
    if not outcome.images:
        raise _refused(outcome.failures, len(items))
    outcome.rows += endpoints.rows()
    outcome.notes += _notes(task, outcome)
    write_table(out / "measurements.csv", outcome.rows, measurements.COLUMNS)
    write_json(out / "predict.json", task.record(outcome))
    return outcome


@dataclass(frozen=True)
class _Task:
    """What is the same for all images."""

    trained: Trained
    runs: Sequence[Trained]
    out: Path
    wish: Wish
    codes: Counter[str]

    @property
    def classes(self) -> dict[str, int]:
        """Label by name of the classes that the run had masks of to learn from."""
        missing = self.trained.record.get("unannotated_classes") or []
        return {name: label for name, label in self.trained.classes.items() if name not in missing}

    @property
    def model(self) -> str:
        """The model in a few words."""
        spec = self.trained.spec
        several = f", {len(self.runs)} {self.wish.ensemble}" if len(self.runs) > 1 else ""
        mirrored = ", mirrored views" if self.wish.mirror else ""
        trained_on = "phantoms of " if spec.source == "phantom" else ""
        return (
            f"{spec.architecture} trained on {trained_on}{spec.dataset} "
            f"({spec.key}{several}{mirrored})"
        )

    def read(self, item: Item) -> Scan:
        """Read an image, and refuse one that the network's grid would blow up."""
        scan = read_scan(item.path, datasets.info(self.trained.spec.dataset), self.codes)
        shape = scan.turn.apply(scan.four).shape[1:]
        steps, target = scan.spacing_mm, self.trained.spec.protocol.spacing_mm
        steps, target = ((1.0, *steps), (None, *target[1:])) if scan.planar else (steps, target)
        voxels = math.prod(target_shape(shape, steps, target))
        if voxels > MOST_VOXELS:
            raise DataError(
                f"{item.path}: on the run's grid, this image of {_times(shape)} voxels of "
                f"{_times(f'{step:g}' for step in steps)} mm would have {voxels:,}; at most "
                f"{MOST_VOXELS:,} are predicted. Check the spacing in its header."
            )
        return scan

    def one(
        self, item: Item, committee: Committee, endpoints: measurements.Endpoints, outcome: Outcome
    ) -> None:
        """Predict one image and write what belongs to it."""
        begin = time.perf_counter()
        scan = self.read(item)
        with staged(self.out) as work:
            frames = self._masks(item, scan, committee, work)
            labels = list(self.classes.values())
            counts = cine.voxel_counts(frames, labels)
            phases = self._phases(item, scan, counts)
            write_mask(mask_path(work, item.name), scan, frames)
            digest = hashlib.sha256(mask_path(work, item.name).read_bytes()).hexdigest()
            self._draw(item, scan, frames, counts, phases, work)
        endpoints.add(item, scan, frames, phases)
        known = {frame: phase for frame, phase in phases.items() if phase}
        outcome.rows += measurements.sizes(item, scan, counts, self.classes, known)
        outcome.images.append(
            {
                "name": item.name,
                "image": str(item.path),
                "image_sha256": _digest(item.path),
                "mask": mask_path(Path(), item.name).as_posix(),
                "mask_sha256": digest,
                "orientation": scan.codes or None,
                "axes_zyx": list(scan.turn.order),
                "flipped_zyx": list(scan.turn.flips),
                "spacing_mm": list(scan.spacing_mm),
                "frames": scan.frames,
                "phases": {phase: frame + 1 for frame, phase in known.items()},
                "patient_was_in": self._side(item),
                "seconds": round(time.perf_counter() - begin, 3),
            }
        )

    def _masks(self, item: Item, scan: Scan, committee: Committee, work: Path) -> list[Labels]:
        largest = cleaned(self.runs)
        number = len(self.trained.classes) + 1
        kept = Probabilities(work, scan, number) if self.wish.probabilities else None
        frames = []
        for index in range(scan.frames):
            prepared = prepare(
                scan.frame(index), None, scan.spacing_mm, self.trained.spec.protocol.spacing_mm
            )
            blocks = native_blocks(committee.blocks(prepared), prepared)
            mask = label_map(_kept(blocks, kept, index), prepared)
            frames.append(keep_largest(mask, largest) if largest else mask)
        if kept is not None:
            kept.close(work / "probabilities" / f"{item.name}_probabilities.nii.gz")
        return frames

    def _phases(self, item: Item, scan: Scan, counts: Any) -> dict[int, str]:
        """The instant of each frame: of a sequence from its curve, of an image as is known."""
        if scan.frames == 1:
            return {0: item.metadata.get("phase", "")}
        if cine.CHAMBER not in self.classes:
            return {}
        return cine.find_phases(counts[:, list(self.classes).index(cine.CHAMBER)])

    def _draw(
        self, item: Item, scan: Scan, frames: Sequence[Labels], counts: Any,
        phases: Mapping[int, str], work: Path,
    ) -> None:  # fmt: skip
        shown = phases or {0: ""}
        for frame, phase in shown.items():
            suffix = f"_{phase}" if scan.frames > 1 and phase else ""
            draw_overlay(
                work / "overlays" / f"{item.name}{suffix}.png",
                scan, scan.frame(frame), frames[frame], self.classes,
                title=f"{item.name}{f', {phase} (frame {frame + 1})' if suffix else ''}",
                model=self.model, phantom=item.phantom,
            )  # fmt: skip
        if scan.frames == 1:
            return
        quantity, unit, size = measurements.unit_of(scan)
        timed = math.isfinite(scan.time_step_s)
        times = np.arange(scan.frames) * scan.time_step_s
        write_table(
            work / "curves" / f"{item.name}.csv",
            [
                {
                    "frame": frame + 1,
                    "time_s": times[frame] if timed else math.nan,
                    "phase": phases.get(frame, ""),
                    **{f"{name}_{quantity}_{unit}": voxels * size
                       for name, voxels in zip(self.classes, line, strict=True)},
                }
                for frame, line in enumerate(counts)
            ],
            ["frame", "time_s", "phase", *(f"{name}_{quantity}_{unit}" for name in self.classes)],
        )  # fmt: skip
        draw_curve(
            work / "curves" / f"{item.name}.png", counts * size, list(self.classes), phases,
            times_s=times if timed else None, label=f"{quantity} ({unit})", title=item.name,
            model=self.model, phantom=item.phantom,
        )  # fmt: skip

    def _side(self, item: Item) -> str | None:
        """On which side of the split a patient of the run's own dataset was, in any network."""
        if item.release != self.trained.spec.fingerprint:
            return None
        sides = {side for run in self.runs for side in _SIDES
                 if item.patient in run.record["split"][side]}  # fmt: skip
        return next((side for side in _SIDES if side in sides), None)

    def record(self, outcome: Outcome) -> dict[str, Any]:
        """Return what `predict.json` says."""
        spec = self.trained.spec
        return {
            "run": spec.key,
            "name": spec.name,
            "networks": [
                {
                    "key": run.spec.key,
                    "name": run.spec.name,
                    "precision": run.record["environment"]["device"]["precision"],
                }
                for run in self.runs
            ],
            "options": dataclasses.asdict(self.wish),
            "views": [list(axes) for axes in (VIEWS if self.wish.mirror else VIEWS[:1])],
            "classes": {"background": 0, **self.trained.classes},
            "largest_piece_only": list(cleaned(self.runs)),
            "spacing_mm": list(spec.protocol.spacing_mm),
            "training_orientation": dict(self.codes),
            "phase_rule": cine.RULE,
            "environment": environment.describe(),
            "finished_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "notes": outcome.notes,
            "images": outcome.images,
            "failures": outcome.failures,
        }


def _kept(blocks: Iterator[Array], kept: Probabilities | None, frame: int) -> Iterator[Array]:
    """Pass blocks on, and write them down on the way if that is wished."""
    plane = 0
    for block in blocks:
        if kept is not None:
            kept.put(frame, plane, block)
        plane += len(block)
        yield block


def _tested(items: Sequence[Item], trained: Trained) -> list[Item]:
    tested = trained.record["split"]["test"]
    chosen = [
        item
        for item in items
        if item.release == trained.spec.fingerprint and item.patient in tested
    ]
    if not chosen:
        raise BenchmarkError(
            f"--test-only: expected the files of {trained.spec.dataset} on which the run was "
            f"trained, with the patients that it was tested on ({len(tested)}), found none of them."
        )
    return chosen


def _notes(task: _Task, outcome: Outcome) -> list[str]:
    notes = []
    if task.wish.mirror:
        notes.append(
            f"mirrored views: the training recipe ({task.trained.spec.protocol.augmentation}) has "
            "no flips, so the network has never seen a mirrored heart: compare with a prediction "
            "without --tta before relying on it."
        )
    for side, text in (
        ("train", "trained on them: their scores say nothing about other patients"),
        ("validation", "was chosen by them: their scores are optimistic"),
    ):
        names = [image["name"] for image in outcome.images if image["patient_was_in"] == side]
        if names:
            notes.append(f"{len(names)} of {len(outcome.images)} images are of patients that the "
                         f"model knows, it {text} ({_listed(names)}).")  # fmt: skip
    silent = [image["name"] for image in outcome.images if image["orientation"] is None]
    if silent:
        notes.append(
            f"{len(silent)} of {len(outcome.images)} images do not say how they lie; they were "
            f"taken to lie as the training images do ({_listed(silent)})."
        )
    return notes


def _refused(failures: Mapping[str, str], total: int) -> DataError:
    texts = list(failures.values())
    if total == 1:
        return DataError(texts[0])
    listed = "".join(f"\n  {text}" for text in texts[:_NAMED])
    more = f"\n  and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return DataError(
        f"{len(texts)} of {total} images cannot be predicted, so none was and nothing is written; "
        f"--skip-bad leaves them out:{listed}{more}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _times(parts: Any) -> str:
    return " x ".join(map(str, parts))


def _digest(path: Path) -> str:
    sha = hashlib.sha256()
    for source in nifti.source_files(path):
        sha.update(source.read_bytes())
    return sha.hexdigest()
