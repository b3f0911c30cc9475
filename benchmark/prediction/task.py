"""One image after the other: read, predicted, drawn, measured, written."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
from benchmark import environment
from benchmark.data.preprocessing import Array, Labels, prepare, target_shape
from benchmark.errors import DataError
from benchmark.evaluation.inference import label_map, native_blocks
from benchmark.evaluation.postprocessing import keep_largest
from benchmark.prediction import cine, measurements
from benchmark.prediction.committee import Committee, cleaned
from benchmark.prediction.earlier import Earlier
from benchmark.prediction.inputs import Item, mask_path
from benchmark.prediction.output import Probabilities, staged, write_mask
from benchmark.prediction.pictures import draw_curve, draw_overlay
from benchmark.prediction.scan import Scan, read_scan
from benchmark.trained import Trained
from datasets import nifti
from datasets.case import DatasetInfo
from datasets.grid import MOST_VOXELS

# The sides of a split, from the one that tells a network most about a patient.
_SIDES = ("train", "validation", "test")


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
        pending: Names of images that were not reached, as the call was ended before.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Task:
    """What is the same for all images.

    Attributes:
        trained: The run that was asked for.
        runs: It, or all runs of its ensemble.
        out: Folder for the outputs.
        wish: How images are predicted.
        codes: Axis codes of the training files, from `orientation.trained_codes`.
    """

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
    def networks(self) -> list[dict[str, str]]:
        """Key, name and precision of each network."""
        return [
            {
                "key": run.spec.key,
                "name": run.spec.name,
                "precision": run.record["environment"]["device"]["precision"],
            }
            for run in self.runs
        ]

    @property
    def info(self) -> DatasetInfo:
        """The dataset that the run was trained on."""
        return datasets.info(self.trained.spec.dataset)

    @property
    def model(self) -> str:
        """The model in a few words."""
        spec = self.trained.spec
        several = f", {len(self.runs)} {self.wish.ensemble}" if len(self.runs) > 1 else ""
        mirrored = ", mirrored views" if self.wish.mirror else ""
        kind = "phantoms of " if spec.source == "phantom" else ""
        trained_on = f"{spec.architecture} trained on {kind}{spec.dataset}"
        return f"{trained_on} ({spec.key}{several}{mirrored})"

    def read(self, item: Item) -> Scan:
        """Read an image.

        Raises:
            DatasetError: The file cannot be read.
            DataError: It is no image, or its spacing would blow it up on the network's grid.
        """
        scan = read_scan(item.path, self.info, self.codes)
        steps, target = scan.spacing_mm, self.trained.spec.protocol.spacing_mm
        shape = scan.turn.apply(scan.four).shape[4 - len(steps) :]
        voxels = math.prod(target_shape(shape, steps, target[3 - len(steps) :]))
        if voxels > MOST_VOXELS:
            raise DataError(
                f"{item.path}: on the run's grid, this image of {' x '.join(map(str, shape))} "
                f"pixels of {' x '.join(f'{step:g}' for step in steps)} mm (slowest axis first) "
                f"would have {voxels:,}; at most {MOST_VOXELS:,} are predicted. Check the spacing "
                "in its header."
            )
        return scan

    def one(
        self, item: Item, committee: Committee, hearts: measurements.Hearts, outcome: Outcome
    ) -> None:
        """Predict one image, write what belongs to it, and add what is to be said of it.

        Raises:
            DatasetError: The file can no longer be read.
            DataError: Its content has changed, to no image.
        """
        begin = time.perf_counter()
        scan = self.read(item)
        digest = _digest(nifti.source_files(item.path))
        with staged(self.out, last=mask_path(Path(), item.name)) as work:
            frames = self._masks(item, scan, committee, work)
            counts = cine.voxel_counts(frames, list(self.classes.values()))
            phases = self._phases(item, scan, counts)
            mask = mask_path(work, item.name)
            write_mask(mask, scan, frames)
            mask_digest = _digest([mask])
            self._draw(item, scan, frames, phases, work)
            if scan.frames > 1:
                self._draw_curve(item, scan, counts, phases, work)
        outcome.rows += hearts.add(item, scan, frames, phases)
        known = {frame: phase for frame, phase in phases.items() if phase}
        outcome.images.append(
            {
                "name": item.name,
                "image": str(item.path),
                "image_sha256": digest,
                "mask": mask_path(Path(), item.name).as_posix(),
                "mask_sha256": mask_digest,
                "orientation": scan.codes or None,
                "axes_zyx": list(scan.turn.order),
                "flipped_zyx": list(scan.turn.flips),
                "spacing_mm": list(scan.spacing_mm),
                "frames": scan.frames,
                "measured": not scan.planar or self.info.dims == 2,
                "phases": {phase: frame + 1 for frame, phase in known.items()},
                "patient_was_in": self._side(item),
                "seconds": round(time.perf_counter() - begin, 3),
            }
        )

    def record(self, outcome: Outcome, earlier: Earlier) -> dict[str, Any]:
        """Return what `predict.json` says, of images of earlier calls too."""
        spec = self.trained.spec
        return {
            "run": spec.key,
            "name": spec.name,
            "networks": self.networks,
            "options": dataclasses.asdict(self.wish),
            "classes": {"background": 0, **self.trained.classes},
            "largest_piece_only": list(cleaned(self.runs)),
            "spacing_mm": list(spec.protocol.spacing_mm),
            "training_orientation": dict(self.codes),
            "phase_rule": cine.RULE,
            "environment": environment.describe(),
            "finished_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "notes": outcome.notes,
            "images": [*earlier.images_besides(outcome.images), *outcome.images],
            "not_reached": outcome.pending,
            "failures": outcome.failures,
        }

    def _masks(self, item: Item, scan: Scan, committee: Committee, work: Path) -> list[Labels]:
        """Label maps of all frames, as the network sees them; probabilities go to their file."""
        largest = cleaned(self.runs)
        number = len(self.trained.classes) + 1
        kept = Probabilities(work, scan, number) if self.wish.probabilities else None
        frames = []
        for index in range(scan.frames):
            prepared = prepare(
                scan.frame(index), None, scan.spacing_mm, self.trained.spec.protocol.spacing_mm
            )
            blocks = native_blocks(committee.blocks(prepared), prepared)
            mask = label_map(_noted(blocks, kept, index), prepared)
            frames.append(keep_largest(mask, largest) if largest else mask)
        if kept is not None:
            kept.close(work / "probabilities" / f"{item.name}_probabilities.nii.gz")
        return frames

    def _phases(self, item: Item, scan: Scan, counts: cine.Counts) -> dict[int, str]:
        """The instant of each frame: of a sequence from its curve, of an image as is known."""
        if scan.frames == 1:
            return {0: item.metadata.get("phase", "")}
        if cine.CHAMBER not in self.classes:
            return {}
        return cine.find_phases(counts[:, list(self.classes).index(cine.CHAMBER)].tolist())

    def _draw(
        self,
        item: Item,
        scan: Scan,
        frames: Sequence[Labels],
        phases: Mapping[int, str],
        work: Path,
    ) -> None:
        """Outlines on the image; of a sequence at ED and ES, or on its first frame."""
        for frame, phase in (phases or {0: ""}).items():
            instant = phase if scan.frames > 1 else ""
            draw_overlay(
                work / "overlays" / f"{item.name}{'_' * bool(instant)}{instant}.png",
                scan,
                scan.frame(frame),
                frames[frame],
                self.classes,
                title=f"{item.name}{f', {instant} (frame {frame + 1})' if instant else ''}",
                model=self.model,
                phantom=item.phantom,
            )

    def _draw_curve(
        self, item: Item, scan: Scan, counts: cine.Counts, phases: Mapping[int, str], work: Path
    ) -> None:
        quantity, unit, size = measurements.unit_of(scan)
        times_s = cine.times_s(scan.frames, scan.time_step_s)
        sizes = {name: line * size for name, line in zip(self.classes, counts.T, strict=True)}
        cine.write_curve(
            work / "curves" / f"{item.name}.csv", sizes, phases, times_s, f"{quantity}_{unit}"
        )
        draw_curve(
            work / "curves" / f"{item.name}.png",
            sizes,
            phases,
            times_s=times_s,
            label=f"{quantity} ({unit})",
            title=item.name,
            model=self.model,
            phantom=item.phantom,
        )

    def _side(self, item: Item) -> str | None:
        """On which side of the split a patient of the run's own dataset was, for any network."""
        if item.release != self.trained.spec.fingerprint:
            return None
        sides = [
            side
            for side in _SIDES
            if any(item.patient in run.record["split"][side] for run in self.runs)
        ]
        return sides[0] if sides else None


def _noted(blocks: Iterable[Array], kept: Probabilities | None, frame: int) -> Iterator[Array]:
    """Pass blocks on, and write them down on the way if that is wished."""
    plane = 0
    for block in blocks:
        if kept is not None:
            kept.put(frame, plane, block)
        plane += len(block)
        yield block


def _digest(paths: Iterable[Path]) -> str:
    sha = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: sha)  # goes on in pieces: images may be large
    return sha.hexdigest()
