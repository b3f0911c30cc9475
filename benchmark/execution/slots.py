"""Slots: the shares of this machine that run one worker each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.environment import gpu_names
from benchmark.errors import BenchmarkError
from benchmark.training.distribution import virtual_devices

# Tells a worker on which processors it may run, as comma-separated numbers.
CPUS_VARIABLE = "BENCHMARK_CPUS"


@dataclass(frozen=True)
class Slot:
    """A share of the machine.

    Attributes:
        number: From 0.
        of: Number of slots in all.
        gpu: What `CUDA_VISIBLE_DEVICES` names for its workers, several with commas between them;
            None leaves it as it is.
        cpus: Processors of its workers; empty means all.
        shared: Whether another slot has the same GPU.
    """

    number: int = 0
    of: int = 1
    gpu: str | None = None
    cpus: tuple[int, ...] = ()
    shared: bool = False

    @property
    def environment(self) -> Mapping[str, str]:
        """What a worker of this slot finds in its environment."""
        # A worker that takes a whole GPU at its start would leave none to another on the same GPU,
        # whose failure would look like one of its network.
        variables = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        if self.gpu is not None:
            variables["CUDA_VISIBLE_DEVICES"] = self.gpu
        if self.shared:
            variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        if self.cpus:
            variables[CPUS_VARIABLE] = ",".join(map(str, self.cpus))
        return variables


def make_slots(jobs: int | None = None, *, devices: int = 1) -> list[Slot]:
    """Share the machine between runs that go on at once.

    Args:
        jobs: Number of slots; by default one for each GPU (for as many GPUs as one run takes), and
            one where there is none.
        devices: The most devices that one of the runs takes.

    Raises:
        BenchmarkError: More slots than processors, or fewer devices than one run takes.
    """
    visible = _visible_gpus()
    if devices > (len(visible) or virtual_devices()):
        raise BenchmarkError(
            f"devices: {devices}: expected as many GPUs for one run, found {len(visible)}. Set "
            "protocol.devices to what the machine has."
        )
    ends = range(devices, len(visible) + 1, devices)
    gpus = [",".join(visible[end - devices : end]) for end in ends]
    jobs = max(1, len(gpus)) if jobs is None else jobs
    if jobs == 1:
        return [Slot()]
    cpus = sorted(os.sched_getaffinity(0))
    if not 1 <= jobs <= len(cpus):
        raise BenchmarkError(
            f"--jobs {jobs}: expected 1 to {len(cpus)}, the number of processors: every run needs "
            "at least one of its own."
        )
    return [
        Slot(
            number,
            jobs,
            gpus[number % len(gpus)] if gpus else None,
            tuple(cpus[number::jobs]),
            shared=0 < len(gpus) < jobs,
        )
        for number in range(jobs)
    ]


def stay_on_own_processors() -> None:
    """Keep this process on the processors of its slot; call it before a framework starts threads.

    Frameworks size their thread pools by the processors they are allowed.
    """
    text = os.environ.get(CPUS_VARIABLE)
    if text:
        os.sched_setaffinity(0, {int(number) for number in text.split(",")})


def _visible_gpus() -> list[str]:
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [each.strip() for each in named.split(",") if each.strip() not in ("", "-1")]
    return [str(number) for number in range(len(gpu_names()))]
