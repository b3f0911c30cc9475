"""How much of a cluster one run asks for, and how many runs find a place at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.errors import BenchmarkError


@dataclass(frozen=True)
class Node:
    """A machine of the cluster: the processors and GPUs that it offers."""

    cpus: int
    gpus: int


@dataclass(frozen=True)
class Share:
    """What one run asks for.

    Attributes:
        cpus: Processors.
        gpus: GPUs.
        places: How many runs find as much at once.
    """

    cpus: int
    gpus: int
    places: int


def share_out(nodes: Sequence[Node], *, cpus: int | None = None, gpus: int | None = None) -> Share:
    """Decide what a run asks for.

    By default a run gets one GPU where the cluster has any, and with it its part of the processors
    of the node (the smallest such part, so that it fits everywhere); without GPUs it gets a node.

    Args:
        nodes: The nodes that are alive.
        cpus: Processors that the user wants for a run.
        gpus: GPUs that the user wants for a run.

    Raises:
        BenchmarkError: No node has as much, or what the user wants is no share.
    """
    if cpus is not None and cpus < 1:
        raise BenchmarkError(f"--cpus {cpus}: expected 1 or more for each run.")
    if gpus is not None and gpus < 0:
        raise BenchmarkError(f"--gpus {gpus}: expected 0 or more for each run.")
    if gpus is None:
        gpus = 1 if any(node.gpus for node in nodes) else 0
    fit = [node for node in nodes if node.gpus >= gpus and node.cpus >= max(1, cpus or 1)]
    if not fit:
        offered = ", ".join(f"{node.cpus} CPUs and {node.gpus} GPUs" for node in nodes) or "nothing"
        raise BenchmarkError(
            f"expected a node with at least {max(1, cpus or 1)} CPUs and {gpus} GPUs for one run, "
            f"the nodes offer: {offered}. Start another node, or ask for less (--cpus, --gpus)."
        )
    if cpus is None:
        cpus = min(max(1, node.cpus // max(1, node.gpus // gpus if gpus else 1)) for node in fit)
    places = sum(min(node.cpus // cpus, node.gpus // gpus if gpus else node.cpus) for node in fit)
    return Share(cpus, gpus, places)
