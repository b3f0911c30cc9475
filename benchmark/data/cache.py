"""Prepared cases on disk, keyed by what they were made from, read back memory-mapped."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.preprocessing import CLIP_PERCENTILES, Prepared, prepare
from benchmark.errors import DataError
from benchmark.records import write_atomic
from datasets import nifti
from datasets.case import Case, DatasetError, DatasetInfo

# Part of every cache key: raise it when `prepare` changes what it makes.
VERSION = 1
# Likewise, when `datasets.nifti` or `datasets.mhd` read something else from the same file.
READER = 1


@dataclass(frozen=True)
class CachedCase:
    """A case and its prepared arrays; image and mask are memory-mapped, read only."""

    case: Case
    prepared: Prepared


class Cache:
    """A folder of prepared cases.

    A case's key digests the bytes of its files and all parameters, so a changed file or setting
    makes a new entry. The JSON beside the arrays is written last: an entry without it is no entry.
    """

    def __init__(
        self, folder: Path, info: DatasetInfo, target_mm: Sequence[float | None], workers: int = 0
    ) -> None:
        self.folder = folder
        self.info = info
        self.target_mm = tuple(target_mm)
        self.workers = workers or os.cpu_count() or 1

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
            # gzip, hashing and BLAS release the interpreter lock, so threads are enough
            for result in pool.map(self._one, cases):
                loaded.append(result)
                if progress:
                    progress(len(loaded), len(cases))
        return loaded

    def _one(self, case: Case) -> CachedCase:
        try:
            stem = self.folder / self.info.name / f"{case.id}-{self._key(case)}"
            meta = _read_meta(stem)
            if meta is None:
                image, mask = nifti.read_pair(case, self.info)
                prepared = prepare(image.array, mask.array, image.spacing_mm, self.target_mm)
                _write(stem, prepared)
                meta = _read_meta(stem)
        except DatasetError as error:
            raise DataError(str(error)) from None
        if meta is None:
            raise DataError(f"{stem}.json: expected the entry just written, found none.")
        prepared = Prepared(
            image=np.load(f"{stem}.image.npy", mmap_mode="r"),
            mask=np.load(f"{stem}.mask.npy", mmap_mode="r"),
            mean=meta["mean"],
            std=meta["std"],
            box=tuple((start, stop) for start, stop in meta["box"]),
            native_shape=tuple(meta["native_shape"]),
            native_spacing_mm=tuple(meta["native_spacing_mm"]),
        )
        return CachedCase(case, prepared)

    def _key(self, case: Case) -> str:
        parameters = [
            VERSION,
            READER,
            self.target_mm,
            CLIP_PERCENTILES,
            sorted(self.info.classes.items()),
        ]
        sha = hashlib.sha256(json.dumps(parameters).encode())
        for path in (*nifti.source_files(case.image), *nifti.source_files(case.mask)):
            try:
                sha.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError as error:
                raise DataError(f"{path}: expected a readable file: {error.strerror}.") from None
        return sha.hexdigest()[:16]


def _write(stem: Path, prepared: Prepared) -> None:
    for name in ("image", "mask"):
        buffer = io.BytesIO()
        np.save(buffer, getattr(prepared, name))
        write_atomic(Path(f"{stem}.{name}.npy"), buffer.getvalue())
    fields = {
        name: getattr(prepared, name)
        for name in ("mean", "std", "box", "native_shape", "native_spacing_mm")
    }
    write_atomic(Path(f"{stem}.json"), json.dumps(fields))


def _read_meta(stem: Path) -> dict[str, Any] | None:
    try:
        meta: dict[str, Any] = json.loads(Path(f"{stem}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return meta
