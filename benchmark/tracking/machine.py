"""How busy the machine is, for the pages of MLflow that show it beside the curves.

MLflow's own recorder runs a thread per run that writes to the store by itself; here its gauges are
read once per epoch by the one writer. They are pictures of a moment: the peaks of memory that are
compared come from the record.
"""

from __future__ import annotations

import importlib
import importlib.util

from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor


class Machine:
    """Reads processors and memory, and GPUs where ``nvidia-ml-py`` is installed."""

    def __init__(self) -> None:
        self._gauges = [CPUMonitor()]
        if importlib.util.find_spec("pynvml"):
            importlib.import_module("pynvml")
            try:
                self._gauges.append(GPUMonitor())
            except RuntimeError:
                return  # the library is there, a GPU is not

    def read(self) -> dict[str, float]:
        """Return ``system/…`` metrics; processors are averaged since the last call."""
        found: dict[str, float] = {}
        for gauge in self._gauges:
            gauge.collect_metrics()
            found |= {f"system/{name}": value for name, value in gauge.aggregate_metrics().items()}
            gauge.clear_metrics()
        return found
