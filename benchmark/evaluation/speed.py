"""How fast a trained network is: latency of one patch, throughput of full batches."""

from __future__ import annotations

import numpy as np

from benchmark.evaluation.inference import Predictor
from benchmark.timing import Passes, time_passes

# A span of measuring takes this part of what the training took, but some passes at least: the
# narrow networks of the quick profile are timed for a moment, those on a GPU fifty times.
SHARE = 0.004
LEAST_SPAN_S = 0.08


def measure_speed(
    predictor: Predictor, *, train_s: float, devices: int = 1
) -> dict[str, float | None]:
    """Time forward passes from a patch in memory to its logits in memory.

    Args:
        predictor: Gives model, patch and the batch size of the throughput.
        train_s: What the training took; measuring stays small beside it.
        devices: Number of devices that share every batch.

    Returns:
        ``throughput_per_s``, patches per second by the median of ``throughput_passes`` passes of
        ``throughput_batch`` patches, and ``latency_ms_p50`` and ``latency_ms_p90`` of
        ``latency_passes`` passes of one; None on several devices, which a single patch does not
        keep busy.
    """
    passes = Passes(span_s=max(LEAST_SPAN_S, SHARE * train_s))
    batch = predictor.batch_size
    many = _time(predictor, passes)
    speed: dict[str, float | None] = {
        "throughput_per_s": batch / float(np.median(many)),
        "throughput_batch": batch,
        "throughput_passes": len(many),
    }
    if devices > 1:
        return speed | {"latency_ms_p50": None, "latency_ms_p90": None, "latency_passes": 0}
    single = Predictor(predictor.model, predictor.patch, batch_size=1, overlap=0.0)
    one = 1e3 * _time(single, passes)
    return speed | {
        "latency_ms_p50": float(np.percentile(one, 50)),
        "latency_ms_p90": float(np.percentile(one, 90)),
        "latency_passes": len(one),
    }


def _time(predictor: Predictor, passes: Passes) -> np.ndarray:
    shape = (predictor.batch_size, *predictor.patch, 1)
    patches = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    predictor.logits(patches)  # compiles where this size is new
    return np.asarray(time_passes(lambda: predictor.logits(patches), passes))
