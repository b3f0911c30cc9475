"""The catalogue of datasets: what there is, where it lies, which cases it has.

Importing it loads neither numpy nor nibabel; the modules of the datasets come when asked for.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from datasets.case import Case, DatasetError, DatasetInfo, Terms

NAMES: tuple[str, ...] = ("decathlon", "acdc", "camus")

__all__ = [
    "NAMES",
    "Case",
    "DatasetError",
    "DatasetInfo",
    "Found",
    "Terms",
    "find",
    "fingerprint",
    "info",
    "module",
    "parse_case",
    "read_cases",
    "terms",
    "write_phantom",
]


@dataclass(frozen=True)
class Found:
    """A release on disk.

    Attributes:
        root: Its folder.
        source: `"real"` or `"phantom"`.
        release: Name of what lies there if it has the dataset's layout but is not the official
            release, such as `"LA2018"`; empty for the official one. Scores must carry it.
    """

    root: Path
    source: str
    release: str = ""


def module(name: str) -> ModuleType:
    """The module of a dataset: `INFO`, `CASE_NAME`, `find_root`, `read_cases`, often `SOURCE`.

    Raises:
        DatasetError: There is no such dataset.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise DatasetError(
            f"Expected a dataset among {', '.join(NAMES)}. Received: {name!r}."
            + (f" Did you mean {near[0]!r}?" if near else "")
        )
    return importlib.import_module(f"datasets.{name}")


def info(name: str) -> DatasetInfo:
    """What is known of a dataset before its files are opened."""
    description: DatasetInfo = module(name).INFO
    return description


def terms(name: str, release: str = "") -> Terms:
    """Terms and citation of a release; of one that is not known, those of the official release.

    Args:
        name: The dataset.
        release: As :class:`Found` has it.
    """
    known: Terms | None = getattr(module(name), "RELEASES", {}).get(release)
    if known is not None:
        return known
    official = info(name)
    title = f"{official.title} ({release})" if release else official.title
    return Terms(title, official.licence, official.citation, official.homepage)


def find(name: str, data_root: Path) -> Found | None:
    """Where the dataset lies at or below `data_root`, or `None`. Real files precede phantoms."""
    from datasets.layout import is_phantom

    root = module(name).find_root(data_root)
    if root is None:
        return None
    if is_phantom(root):
        return Found(root, "phantom")
    named = getattr(module(name), "release", None)
    return Found(root, "real", named(root) if named else "")


def read_cases(name: str, root: Path, faults: list[DatasetError] | None = None) -> list[Case]:
    """Labelled cases of the dataset at `root`, sorted by id. Opens no image.

    Args:
        name: A dataset of `NAMES`.
        root: As found by `find`.
        faults: If given, faults are appended to it instead of raised, and the sound cases returned.

    Raises:
        DatasetError: A file is missing or broken, or there is no case.
    """
    cases: list[Case] = module(name).read_cases(root, faults)
    return cases


def parse_case(name: str, case: str) -> tuple[str, dict[str, str]]:
    """Patient and metadata that the name of a case alone tells; an empty patient if it does not.

    Args:
        name: A dataset of `NAMES`.
        case: A case's id, or the name of its mask without suffix and `_gt`.
    """
    match = module(name).CASE_NAME.fullmatch(case)
    told = {key: text for key, text in match.groupdict().items() if text} if match else {}
    return told.pop("patient", ""), told


def fingerprint(name: str, root: Path, cases: Sequence[Case]) -> str:
    """SHA-256 over the cases' ids, their files' places below `root`, and the files' sizes.

    It tells whether two runs had the same files without reading them; it does not prove it.

    Raises:
        DatasetError: A file is gone.
    """
    from datasets.nifti import source_files

    digest = hashlib.sha256(name.encode())
    for case in sorted(cases, key=lambda case: case.id):
        for path in (*source_files(case.image), *source_files(case.mask)):
            try:
                size = path.stat().st_size
            except OSError as error:
                raise DatasetError(
                    f"{path} cannot be read: {error.strerror}. Fetch the release again."
                ) from error
            place = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
            digest.update(f"\0{case.id}\0{place.as_posix()}\0{size}".encode())
    return digest.hexdigest()


def write_phantom(name: str, root: Path, *, patients: int, seed: int, full: bool = False) -> None:
    """Write synthetic hearts of the dataset `name`, in its own layout and folder below `root`.

    Args:
        name: A dataset of `NAMES`.
        root: The data root, as `find` takes it.
        patients: How many patients.
        seed: The same seed gives the same files.
        full: Also what runs do not need: ACDC's cine loops and `testing/`, CAMUS's half sequences.

    Raises:
        DatasetError: There is no such dataset, or its folder holds real files.
    """
    module(name)
    from datasets.phantom import write_phantom as write

    write(name, root, patients=patients, seed=seed, full=full)
