"""Two processes take turns, one step each, so that both meet the same machine."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.settings import WIDTHS, Setting

ROOT = Path(__file__).resolve().parent.parent.parent
KINDS = {"train": "training", "infer": "inference"}


class Worker:
    """One side of one race.

    Args:
        module: What it runs.
        python: By which interpreter.
        arguments: Width, network and precision.
        root: Checkout whose code is run.
    """

    def __init__(
        self, module: str, python: str, arguments: Sequence[str], root: Path = ROOT
    ) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by `end`
        self._process = subprocess.Popen(
            [python, "-m", module, *arguments],
            cwd=root,
            env={
                "TF_CPP_MIN_LOG_LEVEL": "2",
                "KERAS_BACKEND": "tensorflow",
                **os.environ,
                "CUDA_VISIBLE_DEVICES": "",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.about = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # libraries print what they like
                return dict(json.loads(line))
        status = self._process.wait()
        self._log.seek(0)
        raise RuntimeError(
            f"expected an answer of {self._process.args}, which ended with status {status}:\n"
            f"{self._log.read()}"
        )

    def take(self, kind: str) -> dict[str, float]:
        """Have it take one step, `train` or `infer`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{kind}\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """Let it go."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._log.close()


@dataclass
class Result:
    """One race: seconds of every measured step of both sides.

    Attributes:
        setting: Network and input.
        precision: `float32` or `bfloat16`.
        kind: `train` or `infer`.
        ours: Seconds per step.
        theirs: The same of the peer.
        first: Seconds of the first step of each.
        peak_mib: Largest resident memory of each.
        gmacs: Multiply-accumulates of one forward pass of the batch, in thousand millions.
    """

    setting: Setting
    precision: str
    kind: str
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    first: tuple[float, float] = (0.0, 0.0)
    peak_mib: tuple[float, float] = (0.0, 0.0)
    gmacs: float = 0.0

    @property
    def ratios(self) -> tuple[float, float, float]:
        """How many times as fast as the peer: of the medians, and the quartiles of the rounds."""
        rounds = sorted(b / a for a, b in zip(self.ours, self.theirs, strict=True))
        middle = statistics.median(self.theirs) / statistics.median(self.ours)
        low, _, high = statistics.quantiles(rounds, n=4, method="inclusive")
        return middle, low, high


def race(
    width: str,
    name: str,
    precision: str,
    *,
    peer_python: str = sys.executable,
    rounds: int = 9,
    kinds: Sequence[str] = tuple(KINDS),
    other_root: Path | None = None,
) -> list[Result]:
    """Race one network in one precision.

    Args:
        width: `reference` or `narrow`.
        name: Name of the network.
        precision: `float32` or `bfloat16`.
        peer_python: Interpreter that has PyTorch.
        rounds: Measured steps of each side; two more are warm-up.
        kinds: What is raced.
        other_root: Race against this checkout of the suite instead of PyTorch.
    """
    setting = next(each for each in WIDTHS[width] if each.name == name)
    arguments = (width, name, precision)
    ours = Worker("tests.bench.ours", sys.executable, arguments)
    if other_root is None:
        theirs = Worker("tests.bench.peers", peer_python, arguments)
    else:
        theirs = Worker("tests.bench.ours", sys.executable, arguments, other_root)
    counts = ours.about["parameters"], theirs.about["parameters"]
    if counts[0] != counts[1]:
        raise RuntimeError(f"expected equal networks, {name} has {counts} parameters")
    results = []
    try:
        for kind in kinds:
            result = Result(setting, precision, kind, gmacs=ours.about["gmacs"])
            warm = [(ours.take(kind), theirs.take(kind)) for _ in range(2)]
            result.first = (warm[0][0]["s"], warm[0][1]["s"])
            for turn in range(rounds):
                # Who begins changes, so that neither always finds the caches of the other.
                pair = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
                taken = {worker: worker.take(kind) for worker in pair}
                result.ours.append(taken[ours]["s"])
                result.theirs.append(taken[theirs]["s"])
                result.peak_mib = (taken[ours]["peak_mib"], taken[theirs]["peak_mib"])
            results.append(result)
    finally:
        ours.end()
        theirs.end()
    return results
