"""Prepared cases on disk, keyed by what they were made from, read back memory-mapped."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data import preprocessing
from benchmark.data.preprocessing import Prepared, prepare
from benchmark.environment import available_processors
from benchmark.errors import DataError
from benchmark.records import write_atomic
from datasets import grid, layout, mhd, nifti, nifti_file
from datasets.case import Case, DatasetError, DatasetInfo

# What an entry holds is decided by these files: an edit of one makes new entries.
MAKERS = (nifti, nifti_file, mhd, grid, layout, preprocessing)
# A volume of 640 x 640 x 88 voxels takes half a GiB while it is prepared, whatever number of cores
# a machine has.
MOST_WORKERS = 4
ABANDONED_S = 24 * 3600

_ARRAYS = {"image": "float32", "mask": "uint8"}
_NUMBERS = ("mean", "std", "box", "native_shape", "native_spacing_mm")


@dataclass(frozen=True)
class CachedCase:
    """A case and its prepared arrays; image and mask are memory-mapped, read only."""

    case: Case
    prepared: Prepared


class Cache:
    """A folder of prepared cases.

    A case's key digests the bytes of its files, all parameters, and the code that reads and
    prepares, so a change of any makes a new entry; names and dates count for nothing. Each file
    appears whole or not at all, and the JSON beside the arrays comes last, so that a process killed
    at any moment, or two that prepare the same case, leave nothing that is taken for an entry and
    is none.

    On reading, the arrays' shape, type and length are held against the JSON: an entry that was cut,
    emptied or overwritten by something else is made again. Changed numbers inside an array of the
    right length are not seen; finding them would mean to read all of it.
    """

    def __init__(
        self, folder: Path, info: DatasetInfo, target_mm: Sequence[float | None], workers: int = 0
    ) -> None:
        self.folder = folder
        self.info = info
        self.target_mm = tuple(target_mm)
        self._code = _code()
        self.workers = workers or min(available_processors(), MOST_WORKERS)

    def load(
        self, cases: Sequence[Case], progress: Callable[[int, int], None] | None = None
    ) -> list[CachedCase]:
        """Return the prepared cases in the given order, preparing those that are not there.

        Args:
            cases: Cases of one dataset.
            progress: Called with (done, total) after each case.

        Raises:
            DataError: A file is unreadable or not what the release holds.
        """
        loaded = []
        with ThreadPoolExecutor(self.workers) as pool:
            # gzip, hashing and numpy release the interpreter lock, so threads are enough
            for result in pool.map(self._one, cases):
                loaded.append(result)
                if progress:
                    progress(len(loaded), len(cases))
        return loaded

    def _one(self, case: Case) -> CachedCase:
        try:
            stem = self.folder / self.info.name / f"{case.id}-{self._key(case)}"
            prepared = _read(stem)
            if prepared is None:
                image, mask = nifti.read_pair(case, self.info)
                _write(stem, prepare(image.array, mask.array, image.spacing_mm, self.target_mm))
                prepared = _read(stem)
        except DatasetError as error:
            raise DataError(str(error)) from None
        if prepared is None:
            raise DataError(
                f"{stem}.json: expected the entry just written, found none or a damaged one. "
                "Check the disk; deleting the folder of the cache is safe."
            )
        return CachedCase(case, prepared)

    def _key(self, case: Case) -> str:
        parameters = [self._code, self.target_mm, sorted(self.info.classes.items())]
        sha = hashlib.sha256(json.dumps(parameters).encode())
        for path in (*nifti.source_files(case.image), *nifti.source_files(case.mask)):
            try:
                sha.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError as error:
                raise DataError(f"{path}: expected a readable file: {error.strerror}.") from None
        return sha.hexdigest()[:16]


def _code() -> str:
    sha = hashlib.sha256()
    for module in MAKERS:
        sha.update(Path(inspect.getfile(module)).read_bytes())
    return sha.hexdigest()


def _write(stem: Path, prepared: Prepared) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    for leftover in stem.parent.glob(f".{stem.name}.*.tmp"):
        # Of a process that was killed: no other writes at one case for so long.
        with contextlib.suppress(FileNotFoundError):  # another sweeps too
            if time.time() - leftover.stat().st_mtime > ABANDONED_S:
                leftover.unlink()
    for name in _ARRAYS:
        _write_array(_file(stem, name), getattr(prepared, name))
    fields = {name: getattr(prepared, name) for name in _NUMBERS}
    write_atomic(Path(f"{stem}.json"), json.dumps(fields | {"shape": prepared.image.shape}))


def _write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write straight to a file of its own, without a copy in memory, and give it its name last."""
    # Not named after the process: two hosts that share the folder may have the same number.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(stem: Path) -> Prepared | None:
    """Return the entry, its arrays mapped; None where there is none, or it is not whole."""
    try:
        meta = json.loads(Path(f"{stem}.json").read_text(encoding="utf-8"))
        shape = tuple(meta["shape"])
        arrays = {name: _map(_file(stem, name), shape, dtype) for name, dtype in _ARRAYS.items()}
        return Prepared(
            **arrays,
            mean=float(meta["mean"]),
            std=float(meta["std"]),
            box=tuple((int(start), int(stop)) for start, stop in meta["box"]),
            native_shape=tuple(map(int, meta["native_shape"])),
            native_spacing_mm=tuple(map(float, meta["native_spacing_mm"])),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, EOFError, OverflowError):
        return None  # not JSON, not an array, or not what `_write` puts there


def _map(path: Path, shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
    """Map an array.

    Raises:
        ValueError: The file is not an array of this shape and type, or not as long as one.
    """
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r")
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{path}: expected {shape} of {dtype}, found {array.shape}.")
    if not isinstance(array, np.memmap) or path.stat().st_size != array.offset + array.nbytes:
        raise ValueError(f"{path}: expected a plain array and nothing behind it.")
    return array


def _file(stem: Path, name: str) -> Path:
    return Path(f"{stem}.{name}.npy")
