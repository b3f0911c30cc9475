"""A run's folder: cleared before an attempt, packed to travel, unpacked where it arrives."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import uuid
from pathlib import Path, PurePosixPath

from benchmark.errors import BenchmarkError
from benchmark.records import SUMS, WEIGHTS

RECORD = "record.json"
# They belong to the folder, not to what a worker has made: who holds it, and what was printed.
_STAY = ("lock", "log.txt", "log.earlier.txt", "tasks.log.txt", "tasks.log.earlier.txt")


def clear(folder: Path, *, but: Path | None = None) -> None:
    """Remove what an earlier attempt left, so that no file of it is taken for one of this run.

    Checkpoints stay: they say themselves whose they are.

    Args:
        folder: The run's folder.
        but: A folder in it that is left alone.
    """
    for partial in (*folder.glob(".*.tmp"), *folder.glob("partial-*")):
        partial.unlink()
    for name in (RECORD, SUMS, "epochs.csv", "cases.csv", "clinical.csv", WEIGHTS):
        (folder / name).unlink(missing_ok=True)
    made = (folder / name for name in ("predictions", "slices", "on", "robustness"))
    for path in (*made, *folder.glob(".incoming-*")):
        if path != but:
            shutil.rmtree(path, ignore_errors=True)


def pack(folder: Path, *patterns: str) -> bytes:
    """Return what lies in a run's folder as an uncompressed tar.

    Args:
        folder: The run's folder; may be absent.
        patterns: Which of its files and folders, all by default; hidden ones, lock and logs are
            left out always.
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted({path for each in patterns or ("*",) for path in folder.glob(each)}):
            if not (path.name.startswith((".", "partial-")) or path.name in _STAY):
                tar.add(path, path.name, recursive=True)
    return stream.getvalue()


def unpack(parcel: bytes, folder: Path) -> None:
    """Make a run's folder what :func:`pack` found elsewhere; lock and logs stay.

    All of it is on the disk before the first file takes its place, and the record comes last: a
    process that is killed meanwhile leaves a folder without a record, which is no finished run.

    Raises:
        BenchmarkError: The parcel is damaged, or holds what no run's folder holds.
        OSError: The disk is full or the folder cannot be written.
    """
    incoming = folder / f".incoming-{uuid.uuid4().hex}"
    incoming.mkdir(parents=True)
    try:
        _extract(parcel, incoming)
        clear(folder, but=incoming)
        arrived = {path.name for path in incoming.iterdir()}
        for name in sorted(arrived, key=lambda name: (name == RECORD, name)):
            (incoming / name).replace(folder / name)
        for path in folder.glob("checkpoint-*"):
            if path.name not in arrived:
                path.unlink()
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _extract(parcel: bytes, folder: Path) -> None:
    """Write the parcel's files; names are checked here, modes and owners count for nothing."""
    try:
        with tarfile.open(fileobj=io.BytesIO(parcel), mode="r:") as tar:
            for member in tar:
                target = folder / _checked(member)
                if member.isdir():
                    target.mkdir()
                    continue
                source = tar.extractfile(member)
                assert source is not None
                with source, target.open("xb") as file:
                    shutil.copyfileobj(source, file)
                    file.flush()
                    os.fsync(file.fileno())
    except (tarfile.TarError, EOFError, FileExistsError, FileNotFoundError) as error:
        raise BenchmarkError(
            f"expected the folder of a run as it was packed, found it damaged ({error}). Run again."
        ) from None


def _checked(member: tarfile.TarInfo) -> PurePosixPath:
    path = PurePosixPath(member.name)
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
    if (
        not (plain and path.parts)
        or member.issparse()
        or path.is_absolute()
        or any(part == ".." or part.startswith(".") for part in path.parts)
        or path.parts[0] in _STAY
    ):
        raise BenchmarkError(
            f"expected files and folders of a run, {member.name!r} is none. Look at the machine "
            "that sent it before you run again."
        )
    return path
