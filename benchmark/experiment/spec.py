"""What one run is: a frozen specification, its key and its seeds.

A run is a pure function of its :class:`RunSpec`; nothing that cannot change the result is in it
(no path, no host, no profile name), so that the same specification has the same key anywhere.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# Raised by hand with every change of benchmark/data, training or evaluation that changes scores:
# finished runs are then run again instead of standing beside runs made by other rules.
RULES_VERSION = 5


# Fields that came later, with what they meant before: left out there, so that keys stay.
LATER: Mapping[str, Any] = {"tuned": None, "evaluate": "test", "init_from": {}}


@dataclass(frozen=True)
class Protocol:
    """The rules that every architecture on one dataset obeys.

    Attributes:
        split: Name of the split function.
        folds: Number of folds of a k-fold split.
        validation_fraction: Part of the training patients that chooses the best epoch.
        split_seed: Seed of the split; the same for all runs that are compared.
        spacing_mm: Grid on which networks work, ``(z, y, x)``; None keeps the file's own spacing.
        patch_2d: Input size of planar networks in voxels, ``(y, x)``.
        patch_3d: Input size of volumetric networks in voxels, ``(z, y, x)``.
        batch_size_2d: Patches per gradient step of planar networks.
        batch_size_3d: Patches per gradient step of volumetric networks.
        epochs: Number of epochs of the tracks ``epochs`` and (at most) ``target``.
        steps_per_epoch: Least and most gradient steps of an epoch, which otherwise is one pass over
            the slices of the training cases; planar and volumetric networks take the same number.
        validation_patches_2d: Planar patches on which the epoch's validation Dice is measured.
        validation_patches_3d: Volumetric patches for the same.
        optimizer: Name of the optimiser.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay.
        loss: Name of the loss.
        augmentation: Name of the augmentation recipe.
        precision: ``auto``, ``float32``, ``mixed_bfloat16`` or ``mixed_float16``.
        compile: ``auto``, ``xla`` or ``none``.
        backend: Keras backend.
        overlap: Overlap of neighbouring inference windows as a part of the window.
        postprocessing: ``none``, or ``largest_component``: keep the largest piece of each class
            for which that helped on validation cases.
        surface_definition: Which definition of surface distances holds.
        nsd_tolerance_mm: Distance up to which two surfaces agree, for NSD.
        track: What the budget of a training is counted in: ``epochs``, ``steps``, ``time`` or
            ``target``; see :class:`benchmark.training.tracks.Budget`.
        max_steps: Gradient steps of the track ``steps``.
        max_train_s: Seconds of gradient steps of the track ``time``.
        target_dice: Validation Dice that ends the track ``target``.
        deterministic: Whether operations are deterministic on a GPU too, where that costs speed;
            on a CPU, where it costs nothing, they always are.
        devices: Devices that compute a part of every batch each. The steps are those of one device
            up to rounding; times are not.
    """

    split: str
    folds: int
    validation_fraction: float
    split_seed: int
    spacing_mm: tuple[float | None, float, float]
    patch_2d: tuple[int, int]
    patch_3d: tuple[int, int, int]
    batch_size_2d: int
    batch_size_3d: int
    epochs: int
    steps_per_epoch: tuple[int, int]
    validation_patches_2d: int
    validation_patches_3d: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    loss: str
    augmentation: str
    precision: str
    compile: str
    backend: str
    overlap: float
    postprocessing: str
    surface_definition: Literal["metrics_reloaded", "pooled", "area_weighted"]
    nsd_tolerance_mm: float
    track: str
    max_steps: int | None
    max_train_s: float | None
    target_dice: float | None
    deterministic: bool
    devices: int = 1

    @functools.cached_property
    def plain(self) -> Mapping[str, Any]:
        """The fields as JSON types; computed once, since a thousand runs share one protocol.

        A field that came later is left out while it has its default, so that earlier keys hold.
        """
        plain = _plain(dataclasses.asdict(self))
        if self.devices == 1:
            del plain["devices"]
        return plain


@dataclass(frozen=True)
class RunSpec:
    """One cell of the matrix, fully resolved.

    Attributes:
        architecture: Name in the catalogue of architectures.
        options: Keyword arguments of its ``build``.
        dims: Spatial dimensions of the network, 2 or 3.
        dataset: Name in the catalogue of datasets.
        source: ``real`` or ``phantom``.
        fingerprint: Digest of the dataset's cases as they lie on disk.
        code: Digest of the files that define the architecture and read the dataset.
        fold: Index of the fold that is tested.
        seed: Seed of initialisation, order and augmentation.
        protocol: The rules shared by every run it is compared with.
        rules: Version of what the protocol's words mean: `RULES_VERSION` of the code that made it.
        tuned: Of a recipe that a search has found: ``study``, ``trials`` and ``cost_s`` of the
            search, and ``base``, the values of the protocol that the recipe replaces.
        evaluate: ``test``, or ``validation`` for a trial of a search, which ends with its training
            and reads no test case.
        init_from: The run whose weights it starts from: `run` (its key), `sha256` of its weights,
            and the `dataset` it was trained on. Empty, and not written, where it starts afresh.
    """

    architecture: str
    options: Mapping[str, Any]
    dims: int
    dataset: str
    source: str
    fingerprint: str
    code: str
    fold: int
    seed: int
    protocol: Protocol
    rules: int = RULES_VERSION
    tuned: Mapping[str, Any] | None = None
    evaluate: Literal["test", "validation"] = "test"
    init_from: Mapping[str, str] = field(default_factory=dict)

    @functools.cached_property
    def key(self) -> str:
        """Twelve hexadecimal digits that stand for this specification."""
        return digest(self.to_dict())[:12]

    @functools.cached_property
    def protocol_hash(self) -> str:
        """Eight digits shared by exactly those runs whose scores may stand in one table.

        Tuned recipes share theirs if what was not tuned is the same: they are a track of their own.
        """
        content = {
            "protocol": self.protocol.plain,
            "rules": self.rules,
            "dataset": self.dataset,
            "source": self.source,
            "fingerprint": self.fingerprint,
        }
        if self.tuned is not None:
            content |= {"protocol": {**self.protocol.plain, **self.tuned["base"]}, "tuned": True}
        if self.evaluate != "test":
            content["evaluate"] = self.evaluate
        return digest(content)[:8]

    @property
    def name(self) -> str:
        """Short sortable label, ``unet·acdc·f0·s0``, or ``unet←decathlon·acdc·f0·s0``."""
        start = f"←{self.init_from['dataset']}" if self.init_from else ""
        parts = [f"{self.architecture}{start}", self.dataset, f"f{self.fold}", f"s{self.seed}"]
        parts += ["tuned"] if self.tuned is not None else []
        parts += ["trial"] if self.evaluate == "validation" else []
        return "·".join(parts)

    @property
    def patch(self) -> tuple[int, ...]:
        """Input size of the network, ``(y, x)`` or ``(z, y, x)``."""
        return self.protocol.patch_2d if self.dims == 2 else self.protocol.patch_3d

    @property
    def batch_size(self) -> int:
        """Patches per gradient step."""
        return self.protocol.batch_size_2d if self.dims == 2 else self.protocol.batch_size_3d

    @property
    def validation_patches(self) -> int:
        """Patches on which the validation Dice of an epoch is measured."""
        if self.dims == 2:
            return self.protocol.validation_patches_2d
        return self.protocol.validation_patches_3d

    def seed_for(self, purpose: str) -> int:
        """Return the 32-bit seed of one purpose.

        ``order``, which draws patches and their augmentation too, does not depend on the
        architecture, so that all see the same data in the same order; ``init`` does.
        """
        axes = [self.dataset, str(self.fold), str(self.seed), purpose]
        if purpose == "init":
            axes.append(self.architecture)
        return int.from_bytes(hashlib.sha256("|".join(axes).encode()).digest()[:4])

    def to_dict(self) -> dict[str, Any]:
        """Return plain types, as they are written to ``record.json``."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name, default in LATER.items():
            if fields[name] == default:
                del fields[name]
        options = _plain(dict(self.options))
        return {**fields, "options": options, "protocol": dict(self.protocol.plain)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> RunSpec:
        """Read back what :meth:`to_dict` wrote."""
        protocol: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in plain["protocol"].items()
        }
        return cls(**{**plain, "protocol": Protocol(**protocol)})


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON types of ``content``: tuples become lists, nothing is shared with it."""
    plain: dict[str, Any] = json.loads(json.dumps(content))
    return plain


def digest(plain: Any) -> str:
    """Return the SHA-256 of the canonical JSON form of ``plain``."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
