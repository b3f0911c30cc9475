"""Where the owners publish a dataset: the types of `SOURCE` in the datasets' modules.

A module with a `SOURCE` beside its `INFO` can be fetched; nothing else has to know of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_GIB = 1 << 30


@dataclass(frozen=True)
class Archive:
    """A release in one tar file, which is the same for everybody.

    Attributes:
        base: URL of the folder that the file lies in.
        name: Name of the file.
        size: Its bytes.
        checksum: `"sha256:<hex>"`.
        top: The folder in it that is the release; it appears below the data root.
        most_bytes: Limit of what unpacks from it.
        most_files: Limit of its members.
    """

    base: str
    name: str
    size: int
    checksum: str
    top: str
    most_bytes: int = 4 * _GIB
    most_files: int = 1000


@dataclass(frozen=True)
class GirderFolders:
    """A release in folders of a Girder server.

    Girder packs its zip archives anew for everyone who asks, so they have no checksum and cannot be
    taken up where they broke off. File by file, sizes are known and transfers can be.

    Attributes:
        base: URL of the server's API.
        top: Name that the release gets below the data root.
        folders: Identifier of each folder by its place below `top`; `"."` is `top` itself.
        most_bytes: Limit of all files together.
        most_files: Limit of their number.
    """

    base: str
    top: str
    folders: Mapping[str, str] = field(hash=False)
    most_bytes: int = 20 * _GIB
    most_files: int = 20_000


Source = Archive | GirderFolders
