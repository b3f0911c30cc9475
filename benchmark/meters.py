"""Energy: counters of the machine that run on, read at the beginning and now and then.

What is counted is what the whole device took, other work on it included: there is no meter for one
process. Where no counter can be read nothing is reported; nothing is estimated.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

POWERCAP = Path("/sys/class/powercap")

# A counter of a processor package begins anew after some 65 to 260 kJ, in ten minutes at the
# earliest: this often is enough to notice each time.
EVERY_S = 30.0


class Counter(Protocol):
    """A counter of energy that runs on."""

    def passed_j(self) -> float:
        """Return the joules since the last call, or since the counter was made."""


class Package:
    """A processor package under Linux' powercap (RAPL of Intel and AMD).

    Args:
        zone: Its folder, with ``energy_uj`` and ``max_energy_range_uj``.

    Raises:
        OSError: The counter cannot be read; many systems let only root do so.
        ValueError: It is no number.
    """

    def __init__(self, zone: Path) -> None:
        self._energy = zone / "energy_uj"
        self._range_uj = _number(zone / "max_energy_range_uj")
        self._last_uj = _number(self._energy)

    def passed_j(self) -> float:
        """Return the joules since the last call; the counter may have begun anew once."""
        now = _number(self._energy)
        passed = now - self._last_uj
        if passed < 0:
            passed += self._range_uj
        self._last_uj = now
        return passed / 1e6


class Gpu:
    """An NVIDIA GPU (Volta or newer).

    Args:
        library: The module ``pynvml``, initialised.
        handle: Of the GPU.

    Raises:
        OSError: The GPU has no such counter.
    """

    def __init__(self, library: Any, handle: Any) -> None:
        self._library = library
        self._handle = handle
        self._last_mj = self._read()

    def passed_j(self) -> float:
        """Return the joules since the last call."""
        now = self._read()
        # Smaller than before only if the driver was loaded anew; what was before is lost then.
        passed = now - self._last_mj if now >= self._last_mj else now
        self._last_mj = now
        return passed / 1e3

    def _read(self) -> int:
        try:
            return int(self._library.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except self._library.NVMLError as error:
            raise OSError(str(error)) from None


class EnergyMeter:
    """Adds up the energy of a span over some counters.

    Args:
        counters: By the kind of device, ``cpu`` or ``gpu``.
        clock: Seconds.
    """

    def __init__(
        self,
        counters: Mapping[str, Sequence[Counter]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counters = {kind: list(found) for kind, found in counters.items() if found}
        self._clock = clock
        self._read_s = clock()
        self._joules = dict.fromkeys(self._counters, 0.0)

    def tick(self) -> None:
        """Read the counters if that was long ago; cheap enough to be called after every step."""
        if self._clock() - self._read_s >= EVERY_S:
            self.joules()

    def joules(self) -> dict[str, float]:
        """Return the joules since the meter was made by kind of device.

        A kind of which a counter can no longer be read is left out from then on: a part of the
        energy is not the energy.
        """
        self._read_s = self._clock()
        for kind, counters in list(self._counters.items()):
            try:
                self._joules[kind] += sum(counter.passed_j() for counter in counters)
            except (OSError, ValueError):
                del self._counters[kind], self._joules[kind]
        return dict(self._joules)


def find_meter(
    *,
    gpus: int,
    powercap: Path = POWERCAP,
    library: Any = None,
    visible: str | None = None,
) -> EnergyMeter:
    """Return a meter of all counters of this machine that can be read, maybe of none.

    Args:
        gpus: On how many NVIDIA GPUs this process computes: on the first that it sees.
        powercap: Where Linux shows the counters of processors.
        library: Stands in for the module ``pynvml``.
        visible: Stands in for ``CUDA_VISIBLE_DEVICES``.
    """
    found = _gpus(gpus, library, visible) if gpus else []
    return EnergyMeter({"cpu": _packages(powercap), "gpu": found})


def _packages(powercap: Path) -> list[Package]:
    """Return the counters of all packages, or none: that of one of two sockets would mislead."""
    found = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        # `intel-rapl:0:1` is a part of a package, such as its cores; `psys` is the whole machine.
        try:
            if zone.name.count(":") == 1 and _text(zone / "name").startswith("package"):
                found.append(Package(zone))
        except (OSError, ValueError):
            return []
    return found


def _gpus(count: int, library: Any, visible: str | None) -> list[Gpu]:
    """Return the counters of the first GPUs that this process sees, or none."""
    if library is None:
        library = importlib.import_module("pynvml")  # carries no types
    if visible is None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(index) for index in range(count)] if visible is None else visible.split(",")
    try:
        library.nvmlInit()
        handles = [
            library.nvmlDeviceGetHandleByIndex(int(name))
            if name.strip().isdigit()
            else library.nvmlDeviceGetHandleByUUID(name.strip())
            for name in names[:count]
        ]
        return [Gpu(library, handle) for handle in handles]
    except (library.NVMLError, OSError):
        return []


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def _number(path: Path) -> int:
    return int(_text(path))
