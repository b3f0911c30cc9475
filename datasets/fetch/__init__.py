"""Fetching a release from its owners, so that it appears below the data root whole or not at all.

Until it is whole it lies in a hidden folder beside its place, which nothing takes for a dataset and
where the next call goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
from datasets.case import DatasetError
from datasets.fetch import girder
from datasets.fetch.archive import unpack
from datasets.fetch.download import Progress, retrieve
from datasets.fetch.http import Retries
from datasets.source import Archive, GirderFolders, Source

Report = Callable[[str, int, int | None], None]
"""Is told what is being done, how far it is, and of how much if that is known. Bytes, but for
`"listing folders"`, which counts folders."""


def source(name: str) -> Source:
    """Where the owners publish a dataset.

    Raises:
        DatasetError: There is no such dataset, or nothing is known of where it can be fetched.
    """
    found: Source | None = getattr(datasets.module(name), "SOURCE", None)
    if found is None:
        raise DatasetError(
            f"{name} cannot be fetched: no source is known. {datasets.info(name).instructions}"
        )
    return found


def fetch(
    name: str,
    root: Path,
    *,
    base: str | None = None,
    retries: Retries | None = None,
    report: Report,
) -> Path:
    """Fetch a release to its folder below the data root.

    Args:
        name: A dataset of `datasets.NAMES`.
        root: The data root; it is made where it is absent.
        base: URL of a mirror, in place of the owners' one (`base` of `Archive` or
            `GirderFolders`). It must have the same files.
        retries: How long a failing server is asked.
        report: Is told how far it is.

    Returns:
        The folder of the release.

    Raises:
        DatasetError: The release is there already, the server fails or refuses, or what comes is
            not the release. What can be gone on with is kept.
    """
    origin = source(name)
    retries = retries or Retries()
    base = (base or origin.base).rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise DatasetError(f"Expected an address with http:// or https://. Received: {base!r}.")
    target = root / origin.top
    _check_place(name, root, target)
    work = root / f".{name}.fetch"
    work.mkdir(parents=True, exist_ok=True)
    with _alone(work):
        tree = work / "tree"
        if isinstance(origin, Archive):
            _fetch_archive(origin, base, work, tree, retries, report)
        else:
            _fetch_folders(origin, base, work, tree, retries, report)
        _check_release(name, tree)
        (tree / origin.top).rename(target)
        shutil.rmtree(work)
    return target


def _fetch_archive(
    origin: Archive, base: str, work: Path, tree: Path, retries: Retries, report: Report
) -> None:
    archive = work / origin.name
    retrieve(
        f"{base}/{origin.name}", archive, checksum=origin.checksum, size=origin.size,
        retries=retries, progress=_named(report, "downloading"),
    )  # fmt: skip
    shutil.rmtree(tree, ignore_errors=True)
    unpack(
        archive, tree, most_bytes=origin.most_bytes, most_files=origin.most_files,
        progress=_named(report, "unpacking"),
    )  # fmt: skip


def _fetch_folders(
    origin: GirderFolders, base: str, work: Path, tree: Path, retries: Retries, report: Report
) -> None:
    parts = work / "parts"
    parts.mkdir(exist_ok=True)
    girder.fetch_folders(
        origin, base, tree / origin.top, parts, retries=retries,
        listing=_named(report, "listing folders"), progress=_named(report, "downloading"),
    )  # fmt: skip


def _check_place(name: str, root: Path, target: Path) -> None:
    """Refuse to overwrite, and to put a second copy beside a first."""
    found = datasets.find(name, root)
    there = found.root if found is not None and found.source == "real" else target
    if there is target and not target.exists():
        return
    raise DatasetError(
        f"{there} is there already and is not overwritten. Move it away, or name another root "
        "with --to."
    )


def _check_release(name: str, tree: Path) -> None:
    """Refuse what the dataset's own loader cannot read, before it gets its name."""
    found = datasets.find(name, tree)
    if found is None:
        raise DatasetError(
            f"{tree}: what has come does not have the layout of {datasets.info(name).title}. "
            f"Remove {tree.parent} and fetch it from the owners."
        )
    datasets.read_cases(name, found.root)


def _named(report: Report, what: str) -> Progress:
    return lambda done, total: report(what, done, total)


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Keep a second process from writing into the same parts.

    Raises:
        DatasetError: There is one.
    """
    import fcntl

    with (work / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DatasetError(
                f"{work} is being filled by another process. Wait until it is done."
            ) from error
        yield
