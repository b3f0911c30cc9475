"""What a folder holds of earlier calls: kept where it belongs to the same, refused otherwise."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.errors import BenchmarkError

RECORD = "predict.json"
TABLE = "measurements.csv"

# Options that decide how a mask comes about; the others choose images.
_DECISIVE = ("mirror", "ensemble", "probabilities")


@dataclass(frozen=True)
class Earlier:
    """Images that an earlier call with the same networks and options has predicted.

    Attributes:
        images: What `predict.json` says of each whose mask is still there.
        rows: Those of `measurements.csv`.
    """

    images: Sequence[Mapping[str, Any]] = ()
    rows: Sequence[Mapping[str, Any]] = ()

    def images_besides(self, images: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return those that have not been predicted again."""
        names = {image["name"] for image in images}
        return [image for image in self.images if image["name"] not in names]

    def rows_besides(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return those of patients, and single images, that have not been measured again."""
        measured = {(row["patient"], row["case"]) for row in rows}
        return [row for row in self.rows if (row["patient"], row["case"]) not in measured]


def read_earlier(
    out: Path, networks: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> Earlier:
    """Return what `out` holds already, and remove what an interrupted call left half done.

    Args:
        out: Folder for the outputs.
        networks: Those of this call, as `predict.json` has them.
        options: Likewise.

    Raises:
        BenchmarkError: It holds masks of other networks or options, or its record is damaged.
    """
    for folder in out.glob(".predict-*"):
        shutil.rmtree(folder, ignore_errors=True)
    path = out / RECORD
    if not path.exists():
        return Earlier()
    way_out = "Name another folder with -o, or delete this one."
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        images = [image for image in record["images"] if (out / image["mask"]).exists()]
        keys = [network["key"] for network in record["networks"]]
        others = {name: record["options"][name] for name in _DECISIVE}
    except (ValueError, KeyError, TypeError):
        raise BenchmarkError(
            f"{path}: expected what an earlier call of predict wrote, found it damaged. {way_out}"
        ) from None
    if not images:
        return Earlier()
    if keys != [network["key"] for network in networks]:
        raise BenchmarkError(
            f"-o {out}: expected an empty folder or one of the same run, found masks of "
            f"{record['name']} ({', '.join(keys)}). {way_out}"
        )
    differing = [name for name in _DECISIVE if others[name] != options[name]]
    if differing:
        raise BenchmarkError(
            f"-o {out}: expected an empty folder or one of the same options, found masks with "
            f"{', '.join(f'{name} {others[name]}' for name in differing)}. {way_out}"
        )
    try:
        with (out / TABLE).open(encoding="utf-8", newline="") as file:
            return Earlier(images, list(csv.DictReader(file)))
    except OSError:
        raise BenchmarkError(
            f"{out / TABLE}: expected the measurements of the masks beside it, found none that "
            f"can be read. {way_out}"
        ) from None
