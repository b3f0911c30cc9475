"""The same code on TensorFlow, JAX and PyTorch: three steps from the same weights.

Every backend that is installed trains in a process of its own, since a process has one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
INSTALLED = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]
# At its start the narrow DeepLabv3 is chaotic: on one backend, an input changed by the last bit
# (1.2e-7) moves the third loss by 1 %. More agreement than that cannot be asked of two backends.
TOLERANCE = {"deeplabv3": 3e-2}
SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
import keras
import architectures
from benchmark.training.losses import make_loss

# Plain descent: Adam divides by the gradient, and so makes much of rounding where it is near zero.
name, weights = sys.argv[1], Path(sys.argv[2])
keras.utils.set_random_seed(0)
# Dropout draws other numbers in every backend, and batch normalisation of a few nearly equal values
# (the pyramid on 4×4 features) magnifies rounding: neither is what is compared here.
options = {"dropout": 0.0, "output_stride": 16} if name == "deeplabv3" else {}
model = architectures.build(name, (64, 64, 1), 3, filters=4, **options)
if weights.exists():
    stored = np.load(weights)
    model.set_weights([stored[f"arr_{i}"] for i in range(len(stored.files))])
else:
    np.savez(weights, *model.get_weights())
model.compile(optimizer=keras.optimizers.SGD(1e-2), loss=make_loss("dice_cross_entropy", 3),
              jit_compile=False)
rng = np.random.default_rng(0)
mask = rng.integers(0, 3, (4, 64, 64)).astype(np.uint8)
image = (mask + rng.normal(size=mask.shape))[..., None].astype(np.float32)
print(json.dumps([float(model.train_on_batch(image, mask)) for _ in range(3)]))
"""


def train(backend: str, name: str, weights: Path) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name, str(weights)],
        cwd=ROOT, capture_output=True, text=True, timeout=250,
        env=os.environ | {"KERAS_BACKEND": backend},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(len(INSTALLED) < 2, reason=f"only {', '.join(INSTALLED)} is installed")
@pytest.mark.parametrize("name", ["unet", "attention_unet", "vnet", "deeplabv3"])
def test_three_steps_give_the_same_losses(name, tmp_path):
    losses = {backend: train(backend, name, tmp_path / "w.npz") for backend in INSTALLED}
    print(name, losses)  # noqa: T201  shown with -s, for the record
    first = losses[INSTALLED[0]]
    for backend in INSTALLED[1:]:
        assert losses[backend][0] == pytest.approx(first[0], rel=1e-5)
        assert losses[backend] == pytest.approx(first, rel=TOLERANCE.get(name, 2e-3))
