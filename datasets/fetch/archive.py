"""Unpacking an archive that nobody has vouched for."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from datasets.case import DatasetError
from datasets.fetch.download import check_room, writing

_BLOCK = 1 << 20
_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OverflowError, UnicodeError)


def unpack(
    archive: Path,
    folder: Path,
    *,
    most_bytes: int,
    most_files: int,
    progress: Callable[[int, int | None], None],
) -> None:
    """Unpack a tar file into a new folder, which appears whole or not at all.

    All members are judged before the first is written. Only plain files and folders are made, with
    the permissions of any new file: no links, no devices, no owners. Since nothing in the new
    folder is a link, a path without `..` cannot leave it.

    Args:
        archive: The file.
        folder: What to make; it must not exist.
        most_bytes: Limit of all members together.
        most_files: Limit of their number.
        progress: Is told how many bytes are written, and of how many.

    Raises:
        DatasetError: The archive is broken or holds what it must not, or the disk is full.
    """
    fresh = folder.with_name(f"{folder.name}.unpacking")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            members = _judged(archive, tar, most_bytes, most_files)
            total = sum(member.size for member in members.values())
            check_room(folder.parent, total)
            fresh.mkdir()
            done = 0
            for name, member in members.items():
                target = fresh.joinpath(*name.parts)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(archive, tar, member, target)
                done += member.size
                progress(done, total)
        fresh.rename(folder)
    except _BROKEN as error:
        raise DatasetError(
            f"{archive} is damaged or no tar file ({error}). Fetch it again."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _judged(
    archive: Path, tar: tarfile.TarFile, most_bytes: int, most_files: int
) -> dict[PurePosixPath, tarfile.TarInfo]:
    """Members by path, once all of them are known to be harmless."""
    members: dict[PurePosixPath, tarfile.TarInfo] = {}
    total = 0
    for number, member in enumerate(tar, start=1):
        fault = _fault(member)
        path = PurePosixPath(member.name)
        if path in members and not (member.isdir() and members[path].isdir()):
            fault = "is in it twice"
        if fault:
            raise _refused(archive, member.name, fault)
        total += member.size
        if number > most_files or total > most_bytes:
            raise DatasetError(
                f"{archive} would unpack to more than {most_files} files or "
                f"{most_bytes / 1e9:.2f} GB, far more than the release has. Nothing was "
                "unpacked: fetch the release from its owners."
            )
        members[path] = member
    for path in members:
        for parent in path.parents:
            if parent in members and not members[parent].isdir():
                raise _refused(archive, f"{path}", f"lies below {str(parent)[:80]!r}, a file")
    _check_end(archive, tar)
    return members


def _refused(archive: Path, name: str, fault: str) -> DatasetError:
    return DatasetError(
        f"{archive}: its member {name[:80]!r} {fault}. Nothing was unpacked: fetch the release "
        "from its owners."
    )


def _check_end(archive: Path, tar: tarfile.TarFile) -> None:
    """Refuse an archive that ends within a header, which tarfile takes for its end."""
    if tar.fileobj is None:  # only of an archive that is closed
        raise AssertionError(archive)
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise DatasetError(f"{archive} is cut short or damaged. Fetch it again.")


def _fault(member: tarfile.TarInfo) -> str | None:
    path = PurePosixPath(member.name)
    if member.issym() or member.islnk():
        return "is a link"
    if not (member.isreg() or member.isdir()) or member.issparse():
        return "is neither a plain file nor a folder"
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in member.name):
        return "has control characters in its name"
    if not path.parts and not member.isdir():
        return "is a file without a name"
    # Backslashes and colons mean nothing here, but name another place on Windows.
    if path.is_absolute() or ".." in path.parts or set(member.name) & set("\\:"):
        return "would lie outside of the folder"
    return None


def _write(archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    if source is None:  # only for what is no file, which was refused
        raise AssertionError(member.name)
    left = member.size
    with source, writing(target), target.open("xb") as file:
        while block := source.read(_BLOCK):
            file.write(block)
            left -= len(block)
    if left:
        raise DatasetError(f"{archive} is cut short in {member.name!r}. Fetch it again.")
