"""Where a dataset's files lie for an order that is carried out on another machine."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import datasets
from benchmark.errors import BenchmarkError
from benchmark.execution.locks import locked
from benchmark.execution.order import Order
from datasets import phantom
from datasets.layout import phantom_marker


def phantom_of(root: Path) -> tuple[int, int] | None:
    """Return patients and seed of a phantom that can be made again elsewhere, else None."""
    marker = phantom_marker(root)
    if marker is None:
        return None
    try:
        made_from = json.loads(marker.read_text(encoding="utf-8"))
        numbers = int(made_from["patients"]), int(made_from["seed"])
    except (ValueError, KeyError, TypeError):
        return None  # a marker that does not say
    return None if made_from.get("full") else numbers


def files_here(order: Order) -> Path:
    """Return the folder of the dataset's release on this machine.

    At home it is the order's. Away it has to lie at the same place and to hold the same files; a
    phantom that is not there is made from its seed.

    Raises:
        BenchmarkError: There are no files, or not those that the plan was made for.
        DatasetError: The files cannot be read.
    """
    if order.scratch is None:
        return order.root
    from benchmark.experiment.sources import fingerprint

    name, host, root = order.spec.dataset, socket.gethostname(), order.root
    title = datasets.info(name).title
    if not root.is_dir():
        if order.phantom is None:
            raise BenchmarkError(
                f"{title}: expected its files under {root} on {host}, found none. Put them at the "
                "same place on every node, or on a disk that all of them see."
            )
        root = _make_phantom(name, order.scratch, *order.phantom)
    found = fingerprint(name, root, datasets.read_cases(name, root))
    if found != order.spec.fingerprint:
        raise BenchmarkError(
            f"{title}: expected the files of the plan (fingerprint {order.spec.fingerprint}) under "
            f"{root} on {host}, found others ({found}). Copy the same release to every node."
        )
    return root


def _make_phantom(name: str, scratch: Path, patients: int, seed: int) -> Path:
    parent = scratch / "phantoms" / f"{patients}-{seed}"
    with locked(scratch / "phantoms.lock"):
        datasets.write_phantom(name, parent, patients=patients, seed=seed)
    return parent / phantom.folder_name(name)
