from __future__ import annotations

import os

import pytest

from benchmark.training import devices


@pytest.fixture
def policy():
    import keras

    yield lambda: keras.config.dtype_policy().name
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("gpu", "flags", "dims", "precision", "jit"),
    [
        (None, {"avx512_bf16"}, 2, "mixed_bfloat16", False),
        (None, {"amx_bf16"}, 2, "mixed_bfloat16", False),
        (None, {"avx512_bf16"}, 3, "mixed_bfloat16", False),
        (None, {"avx2"}, 2, "float32", False),
        ("NVIDIA X", set(), 3, "mixed_bfloat16", True),
    ],
)
def test_rule_auto_takes_what_the_device_does_best(
    monkeypatch, policy, gpu, flags, dims, precision, jit
):
    monkeypatch.setattr(devices, "_gpu_name", lambda: gpu)
    monkeypatch.setattr(devices, "_processor", lambda: ("CPU", frozenset(flags)))
    device = devices.configure(precision="auto", compilation="auto", dims=dims, seed=0)
    assert (device.precision, device.jit_compile) == (precision, jit)
    assert policy() == precision
    assert device.name == (gpu or "CPU")


def test_threads_are_the_processors_of_this_process(monkeypatch, policy):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    device = devices.configure(precision="float32", compilation="none", dims=2, seed=0)
    assert device.threads == 3


def test_what_is_asked_for_is_done(policy):
    device = devices.configure(precision="float32", compilation="xla", dims=2, seed=0)
    assert (device.precision, device.jit_compile, policy()) == ("float32", True, "float32")


@pytest.mark.parametrize(
    ("gpu", "asked", "expected"),
    [(None, False, True), (None, True, True), ("NVIDIA X", False, False), ("NVIDIA X", True, True)],
)
def test_rule_operations_are_deterministic_on_a_cpu(monkeypatch, policy, gpu, asked, expected):
    import tensorflow as tf

    calls = []
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", lambda: calls.append("enabled")
    )
    monkeypatch.setattr(devices, "_gpu_name", lambda: gpu)
    for name in ("XLA_FLAGS", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.setenv(name, "")
    device = devices.configure(
        precision="float32", compilation="none", dims=2, seed=0, deterministic=asked
    )
    assert device.deterministic is expected
    assert calls == (["enabled"] if expected else [])
    assert ("deterministic" in os.environ["XLA_FLAGS"]) is asked


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"), True),
        (RuntimeError("OOM when allocating tensor with shape[8,64]"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate"), True),
        (ValueError("zoom out of range"), False),
    ],
)
def test_out_of_memory_is_recognised(error, expected):
    assert devices.is_out_of_memory(error) is expected
