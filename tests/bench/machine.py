"""What the machine can do: its rate of float32 matrix products."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

SIZE = 4096
TIMES = 5
SCRIPT = "from tests.bench import machine; print(machine.{library}_gflops())"


def numpy_gflops() -> float:
    """The best rate of NumPy's product of two square matrices."""
    import numpy as np

    a = np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32)
    return _best(lambda: a @ a)


def tensorflow_gflops() -> float:
    """The best rate of TensorFlow's product of two square matrices (oneDNN)."""
    import tensorflow as tf

    a = tf.random.normal((SIZE, SIZE))
    return _best(lambda: tf.linalg.matmul(a, a).numpy())


def torch_gflops() -> float:
    """The best rate of PyTorch's product of two square matrices."""
    import torch

    a = torch.randn(SIZE, SIZE)
    return _best(lambda: a @ a)


def measure(root: str, peer_python: str) -> dict[str, float]:
    """The rate of each library in a process of its own, in thousand million operations a second."""
    pythons = {"numpy": sys.executable, "tensorflow": sys.executable, "torch": peer_python}
    rates = {}
    for library, python in pythons.items():
        done = subprocess.run(
            [python, "-c", SCRIPT.format(library=library)],
            cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, check=True,
        )  # fmt: skip
        rates[library] = float(done.stdout.split()[-1])
    return rates


def _best(multiply: Callable[[], Any]) -> float:
    multiply()
    spent = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        multiply()
        spent.append(time.perf_counter() - begin)
    return 2 * SIZE**3 / min(spent) / 1e9
