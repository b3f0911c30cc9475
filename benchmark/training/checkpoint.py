"""Checkpoints: files that hold all a training needs to go on, and prove that they are whole.

A file is one line of text (``cardiac-benchmark checkpoint <format> <SHA-256 of the rest>``), one
line of JSON (whose training it is, its progress, shape and type of every array), and the bytes of
the arrays. It is written under another name and takes its own when it is on the disk.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.records import open_atomic

# Raised whenever what is written changes its meaning.
FORMAT = 1
MAGIC = "cardiac-benchmark checkpoint"

# How :func:`path_of` calls them.
NAME = re.compile(r"checkpoint-[0-9]{6,}\.bin")

# The last one, and the one before for the case that the disk spoils the last.
KEPT = 2

Arrays = dict[str, list[npt.NDArray[Any]]]


class Rejected(Exception):
    """A checkpoint that cannot be used; the message says why."""


@dataclass(frozen=True)
class Checkpoint:
    """What was read from a file.

    Attributes:
        progress: Plain types, as they were given to :func:`write`.
        arrays: Lists of arrays by name, likewise.
    """

    progress: dict[str, Any]
    arrays: Arrays


def path_of(folder: Path, epoch: int) -> Path:
    """Return the file of the checkpoint after an epoch."""
    return folder / f"checkpoint-{epoch:06d}.bin"


def write(
    path: Path, identity: Mapping[str, Any], progress: Mapping[str, Any], arrays: Arrays
) -> None:
    """Write a checkpoint and remove those that are older than the one before it.

    Args:
        path: From :func:`path_of`.
        identity: Whose training it is, in plain types; :func:`read` expects the same.
        progress: Plain types.
        arrays: Lists of arrays by name.

    Raises:
        OSError: The disk is full or the folder cannot be written; older checkpoints remain.
    """
    content = {name: [np.asarray(each, order="C") for each in group]
               for name, group in arrays.items()}  # fmt: skip
    header = {
        "identity": identity,
        "progress": progress,
        "arrays": {name: [[each.dtype.name, list(each.shape)] for each in group]
                   for name, group in content.items()},
    }  # fmt: skip
    line = json.dumps(header, allow_nan=False).encode() + b"\n"
    sha = hashlib.sha256(line)
    for group in content.values():
        for each in group:
            sha.update(each.reshape(-1).view(np.uint8).data)
    with open_atomic(path) as file:
        file.write(f"{MAGIC} {FORMAT} {sha.hexdigest()}\n".encode())
        file.write(line)
        for group in content.values():
            for each in group:
                file.write(each.reshape(-1).view(np.uint8).data)
    prune(path.parent)


def prune(folder: Path) -> None:
    """Remove the checkpoints of a run that are older than the one before the last."""
    for old in _files(folder)[KEPT:]:
        old.unlink()


def read(path: Path, identity: Mapping[str, Any]) -> Checkpoint:
    """Read a checkpoint and check it.

    Raises:
        Rejected: It is damaged, of another format, or of another training.
    """
    try:
        first, _, rest = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise Rejected(f"it cannot be read ({error.strerror})") from None
    words = first.decode("ascii", errors="replace").rsplit(" ", 2)
    if len(words) != 3 or words[0] != MAGIC:
        raise Rejected("it is not a checkpoint, or its beginning is damaged")
    if words[1] != str(FORMAT):
        raise Rejected(f"it has format {words[1]}, this version reads {FORMAT}")
    if hashlib.sha256(rest).hexdigest() != words[2]:
        raise Rejected("its content does not fit its checksum")
    line, _, payload = rest.partition(b"\n")
    header = json.loads(line)
    for name, expected in json.loads(json.dumps(identity)).items():
        found = header["identity"].get(name)
        if found != expected:
            raise Rejected(f"its {name} is {found!r}, this run's is {expected!r}")
    arrays: Arrays = {}
    position = 0
    for name, group in header["arrays"].items():
        arrays[name] = []
        for kind, shape in group:
            dtype, count = np.dtype(kind), int(np.prod(shape, dtype=np.int64))
            flat = np.frombuffer(payload, dtype, count, position)
            arrays[name].append(flat.reshape(shape).copy())  # aligned, and free of the file
            position += count * dtype.itemsize
    return Checkpoint(header["progress"], arrays)


def newest(
    folder: Path, identity: Mapping[str, Any], tell: Callable[[Path, str], None]
) -> Checkpoint | None:
    """Return the newest checkpoint that can be used, or None; the others are set aside.

    Args:
        folder: The run's folder.
        identity: As given to :func:`write`.
        tell: Receives every file that is set aside (renamed to ``….rejected``), and why.
    """
    for path in _files(folder):
        try:
            return read(path, identity)
        except Rejected as reason:
            path.replace(path.with_suffix(".rejected"))
            tell(path, str(reason))
    return None


def remove(folder: Path) -> None:
    """Remove all checkpoints of a run, also those that were set aside or never finished."""
    for pattern in ("checkpoint-*", ".checkpoint-*.tmp"):
        for path in folder.glob(pattern):
            path.unlink()


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.bin"), reverse=True)
