"""The device at hand: what it is, and which precision and compilation suit it.

Only this file and ``distribution.py`` speak to a backend directly, and ``architectures/kernels.py``
where TensorFlow's own kernels are faster.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.environment import available_processors
from benchmark.training.distribution import distribute


@dataclass(frozen=True)
class Device:
    """What a run computes on.

    Attributes:
        kind: ``gpu`` or ``cpu``.
        name: Name of the GPU or of the processor.
        precision: Keras dtype policy in force.
        jit_compile: Whether XLA (or the backend's compiler) is on.
        threads: Processor threads that this process may use.
        deterministic: Whether the same operation on the same values gives the same bits.
        count: How many of them compute a part of every batch each.
    """

    kind: str
    name: str
    precision: str
    jit_compile: bool
    threads: int
    deterministic: bool = False
    count: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain types for the record."""
        return asdict(self)


def configure(
    *,
    precision: str,
    compilation: str,
    dims: int,
    seed: int,
    deterministic: bool = False,
    devices: int = 1,
) -> Device:
    """Set dtype policy and seeds of this process for one run.

    ``auto`` means: on a GPU bfloat16 with XLA; on a CPU bfloat16 where the processor has
    instructions for it (1.5 to 2.6 times faster than float32 there), without XLA, which is 1.4 to 4
    times slower than TensorFlow's graph mode on CPUs. Volumetric networks on a CPU stay in float32
    with other backends than TensorFlow, whose faults in bfloat16 ``architectures/kernels.py`` goes
    round: elsewhere nobody has looked. With TensorFlow on several devices, XLA is off: it compiles
    a step for a single one.

    Args:
        precision: ``auto`` or the name of a Keras dtype policy.
        compilation: ``auto``, ``xla`` or ``none``.
        dims: Spatial dimensions of the network.
        seed: Seed of Python, NumPy and the backend.
        deterministic: Whether to use deterministic operations on a GPU too. On a CPU they are
            always used: they cost less than 1 % of a step there.
        devices: How many devices compute a part of every batch each.

    Raises:
        BenchmarkError: There are fewer devices, or they cannot work together like this.
    """
    import keras

    if deterministic:
        _ask_gpu_libraries_for_determinism()
    distribute(devices)
    gpu = _gpu_name()
    deterministic = deterministic or gpu is None
    if deterministic:
        _enable_determinism()
    processor, flags = _processor()
    if precision == "auto":
        able = dims == 2 or keras.backend.backend() == "tensorflow"
        able = able and bool({"avx512_bf16", "amx_bf16"} & flags)
        precision = "mixed_bfloat16" if gpu is not None or able else "float32"
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)
    backend = keras.backend.backend()
    suits = backend == "jax" or (gpu is not None and devices == 1)
    compiled = compilation == "xla" or (compilation == "auto" and suits)
    return Device(
        kind="cpu" if gpu is None else "gpu",
        name=gpu or processor,
        precision=precision,
        jit_compile=compiled,
        threads=available_processors(),
        deterministic=deterministic,
        count=devices,
    )


def here() -> dict[str, str]:
    """Return kind and name of the device of this process, as a record has them."""
    gpu = _gpu_name()
    return {"kind": "cpu" if gpu is None else "gpu", "name": gpu or processor_name()}


def peak_device_mib() -> float | None:
    """Return the peak of device memory that the backend's allocator counted, or None on a CPU.

    Of several devices it is that of the fullest.
    """
    import keras

    if _gpu_name() is None:
        return None
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        numbers = range(len(tf.config.list_logical_devices("GPU")))
        memory = [tf.config.experimental.get_memory_info(f"GPU:{number}") for number in numbers]
        return max(float(each["peak"]) for each in memory) / 2**20
    if keras.backend.backend() == "jax":
        import jax

        stats = [device.memory_stats() or {} for device in jax.local_devices()]
        peaks = [float(each["peak_bytes_in_use"]) for each in stats if "peak_bytes_in_use" in each]
        return max(peaks) / 2**20 if peaks else None
    import torch

    return float(torch.cuda.max_memory_allocated()) / 2**20


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception of any backend means that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    text = f"{type(error).__name__} {error}".lower()
    signs = ("resourceexhausted", "resource_exhausted", "out of memory", "oom when", "outofmemory")
    return any(sign in text for sign in signs)


def _ask_gpu_libraries_for_determinism() -> None:
    """Set what cuBLAS and XLA read from the environment once, when the GPU is first used."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    flag = "--xla_gpu_deterministic_ops=true"
    if flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()


def _enable_determinism() -> None:
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif keras.backend.backend() == "torch":
        import torch

        torch.use_deterministic_algorithms(True)


def backend_version() -> str:
    """Return the version of the backend in use."""
    import keras

    return str(importlib.import_module(keras.backend.backend()).__version__)


def random_state() -> list[npt.NDArray[np.uint8]]:
    """Return the state of the backend's own random numbers, beside the seeds that layers keep.

    Only PyTorch has one that matters: Keras gives its dropout no seed there.
    """
    import keras

    if keras.backend.backend() != "torch":
        return []
    import torch

    states = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    return [np.array(state.numpy()) for state in states]


def set_random_state(states: Sequence[npt.NDArray[np.uint8]]) -> None:
    """Bring back what :func:`random_state` returned on the same device."""
    if not states:
        return
    import torch

    first, *rest = (torch.from_numpy(state) for state in states)
    torch.set_rng_state(first)
    torch.cuda.set_rng_state_all(rest)


def _gpu_name() -> str | None:
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
        if not devices:
            return None
        details = tf.config.experimental.get_device_details(devices[0])
        return str(details.get("device_name", devices[0].name))
    if backend == "jax":
        import jax

        found = [device for device in jax.devices() if device.platform in ("gpu", "cuda", "rocm")]
        return str(found[0].device_kind) if found else None
    import torch

    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else None


def _processor() -> tuple[str, frozenset[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        import platform

        return platform.processor() or platform.machine(), frozenset()
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields.get("model name", "unknown"), frozenset(fields.get("flags", "").split())


def processor_name() -> str:
    """Return the name of the processor; loads no framework."""
    return _processor()[0]
