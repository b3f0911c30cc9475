"""Synthetic hearts with exactly known volumes, written in each dataset's own layout.

A phantom stands in for scans that may not be handed on: the loaders, the preprocessing and the
networks cannot tell where the files came from, and the scores can be checked against a truth that
no observer drew.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

from datasets.case import DatasetError
from datasets.layout import PHANTOM_MARKER as MARKER
from datasets.phantom.layout import publish

__all__ = ["MARKER", "VERSION", "folder_name", "write_phantom"]

_Build = Callable[[Path, int, int, bool], Mapping[str, object]]

VERSION = 1
"""Raised whenever the files that a seed gives change."""

_RELEASES = {
    "decathlon": ("Task02_Heart", "left_atrium"),
    "acdc": ("ACDC", "short_axis"),
    "camus": ("CAMUS_public", "echo"),
}
"""Release folder and module of every dataset."""


def _release(dataset: str) -> tuple[str, str]:
    try:
        return _RELEASES[dataset]
    except KeyError:
        known = ", ".join(sorted(_RELEASES))
        raise DatasetError(f"no phantom for dataset {dataset!r}: choose one of {known}") from None


def folder_name(dataset: str) -> str:
    """Name of the release folder that `write_phantom` makes below its root.

    Raises:
        DatasetError: no phantom of that name exists.
    """
    return _release(dataset)[0]


def write_phantom(
    dataset: str, root: Path, *, patients: int, seed: int, full: bool = False
) -> None:
    """Write synthetic patients of a dataset below a data root.

    The release appears whole or not at all. `PHANTOM.json` inside it names the parameters and holds
    the true volumes (mL), ejection fractions (%) and masses (g) of every patient. A complete
    phantom with the same parameters is left untouched, one with other parameters is replaced.

    Args:
        dataset: "decathlon", "acdc" or "camus".
        root: data root; the release is written to `root/Task02_Heart`, `root/ACDC` or
            `root/CAMUS_public`.
        patients: number of labelled patients, at least 1.
        seed: at least 0. Patient k of a seed is the same whatever the number of patients.
        full: also write what runs do not need but the releases have, at some seconds per patient:
            the cine loop of every ACDC patient and a `testing/` with half as many patients again,
            and the half sequences of CAMUS. All other files are the same without them.

    Raises:
        DatasetError: unknown dataset, impossible numbers, or the release folder exists and is not
            a phantom.
    """
    folder, module = _release(dataset)
    target = Path(root) / folder
    if patients < 1 or seed < 0:
        raise DatasetError(
            f"a phantom needs at least 1 patient and a seed of at least 0, got patients={patients} "
            f"and seed={seed}"
        )
    parameters = {
        "dataset": dataset,
        "patients": patients,
        "seed": seed,
        "full": full,
        "version": VERSION,
    }

    def fill(empty: Path) -> Mapping[str, object]:
        # Imported when needed: scipy is slow to load, and a phantom that is there needs none.
        build: _Build = importlib.import_module(f"{__name__}.{module}").build
        return build(empty, patients, seed, full)

    publish(target, parameters, fill)
