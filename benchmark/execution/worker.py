"""One run in a process of its own.

Started as ``python -m benchmark.execution.worker`` by the scheduler. It imports the framework,
says ``ready``, waits for one line of JSON on standard input (the order), runs it, and writes the
record. Events go to standard output, one JSON object per line; everything else that is printed
goes to standard error, which the scheduler keeps as the run's log.
"""

from __future__ import annotations

import datetime
import faulthandler
import json
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import IO, Any

from benchmark import environment
from benchmark.errors import BenchmarkError, Diverged
from benchmark.execution.folder import clear
from benchmark.execution.locks import try_lock
from benchmark.execution.order import Order, finished_elsewhere, new_record
from benchmark.execution.slots import stay_on_own_processors
from benchmark.meters import find_meter
from benchmark.records import write_record
from benchmark.timing import (
    Stopwatch,
    peak_rss_mib,
    summarise_epochs,
    summarise_steps,
    summarise_waits,
)

# How often a worker says that it takes steps, at most.
SIGN_OF_LIFE_S = 20.0


class Events:
    """The line of events to the scheduler."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self._step_s = float("-inf")

    def __call__(self, event: dict[str, Any]) -> None:
        """Send one event; of gradient steps only now and then, as a sign of life."""
        if event["event"] == "step":
            if time.monotonic() < self._step_s + SIGN_OF_LIFE_S:
                return
            self._step_s = time.monotonic()
        self.stream.write(json.dumps(event) + "\n")
        self.stream.flush()


def progress(emit: Events, stage: str) -> Callable[[int, int], None]:
    """Return a function of (done, total) that tells how far a stage is."""
    return lambda done, total: emit(
        {"event": "progress", "stage": stage, "done": done, "total": total}
    )


def execute(order: Order, emit: Events, *, started_s: float) -> dict[str, Any]:
    """Run an order, write its record and return it; no exception leaves but an interrupt.

    A run that was ended from outside, or by an error that may be mended, keeps its checkpoints:
    the next attempt goes on from them. One that ended by itself, well or not, has none.

    Args:
        order: What to run.
        emit: Receives progress.
        started_s: ``time.perf_counter()`` when this process became free to work on the order.
    """
    from benchmark.training import checkpoint
    from benchmark.training.devices import is_out_of_memory

    if order.tasks:
        from benchmark.generalisation.carry_out import carry_out

        return carry_out(order, emit)
    record = new_record(order, datetime.datetime.now(datetime.UTC))
    watch = Stopwatch()
    clear(order.folder)
    try:
        _run(order, emit, record, watch)
        record["status"] = "ok"
    except Diverged as error:
        record.update(status="diverged", error=f"{error}")
    except BenchmarkError as error:
        record.update(status="error", error=f"{error}")
    except Exception as error:
        traceback.print_exc()
        status = "oom" if is_out_of_memory(error) else "error"
        first = str(error).strip().splitlines()[:1]
        record.update(status=status, error=f"{type(error).__name__}: {first[0] if first else ''}")
    timing = record.setdefault("timing", {})
    timing.update(watch.spans)
    timing["total_s"] = time.perf_counter() - started_s + timing.get("earlier_s", 0.0)
    timing["peak_rss_mib"] = peak_rss_mib()
    record["environment"] = {**environment.describe(), **record.get("environment", {})}
    record["finished_utc"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_record(order.folder, record)
    if record["status"] in ("ok", "oom", "diverged"):
        checkpoint.remove(order.folder)
    return record


def _run(order: Order, emit: Events, record: dict[str, Any], watch: Stopwatch) -> None:
    import numpy as np

    import architectures
    import datasets
    from architectures import cost
    from benchmark.data.cache import Cache
    from benchmark.evaluation.cases import evaluate, unannotated_classes
    from benchmark.evaluation.inference import Predictor
    from benchmark.evaluation.postprocessing import choose
    from benchmark.evaluation.speed import measure_speed
    from benchmark.execution.away import files_here
    from benchmark.experiment.partition import split_of
    from benchmark.training import devices
    from benchmark.training.fit import fit

    spec, protocol = order.spec, order.spec.protocol
    info = datasets.info(spec.dataset)
    classes = len(info.classes) + 1
    record["classes"] = dict(info.classes)
    with watch.span("preprocessing_s"):
        emit({"event": "stage", "stage": "preparing data"})
        try:
            cases = datasets.read_cases(spec.dataset, files_here(order))
            split = split_of(protocol, cases, spec.fold)
        except datasets.DatasetError as error:
            raise BenchmarkError(str(error)) from None
        by_id = {case.id: case for case in cases}
        wanted = ("train", "validation", *(["test"] if spec.evaluate == "test" else []))
        sides = {side: [by_id[case] for case in getattr(split, side)] for side in wanted}
        record["split"] = {side: sorted({case.patient for case in members})
                           for side, members in sides.items()}  # fmt: skip
        cache = Cache(order.cache, info, protocol.spacing_mm)

        tell = progress(emit, "preparing data")

        training = cache.load(sides["train"], tell)
        validation = cache.load(sides["validation"], tell)

    with watch.span("build_s"):
        emit({"event": "stage", "stage": "building the network"})
        device = devices.configure(
            precision=protocol.precision,
            compilation=protocol.compile,
            dims=spec.dims,
            seed=spec.seed_for("init"),
            deterministic=protocol.deterministic,
            devices=protocol.devices,
        )
        record["environment"] = {"device": device.to_dict()}
        try:
            model = architectures.build(
                spec.architecture, (*spec.patch, 1), classes, **spec.options
            )
        except architectures.ArchitectureError as error:
            raise BenchmarkError(str(error)) from None
        record["params"] = cost.trainable_parameters(model)
        record["gmacs"] = cost.multiply_accumulates(model) / 1e9
        if spec.init_from:
            from benchmark.training.start import start_from

            record["init_from"] = start_from(
                model, spec, order.results,
                classes=info.classes, release=order.release,
                tested={by_id[case].patient for case in split.test},
            )  # fmt: skip

    def tell_epoch(event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            event |= {"rss_mib": peak_rss_mib(), "device_mib": devices.peak_device_mib()}
        emit(event)

    with watch.span("train_s"):
        emit({"event": "stage", "stage": "training"})
        fitted = fit(
            model, spec, training, validation,
            classes=classes, device=device, folder=order.folder, emit=tell_epoch,
            meter=find_meter(gpus=device.count if device.kind == "gpu" else 0),
        )  # fmt: skip
    watch.spans["train_s"] += fitted.earlier_s
    record["resumed"] = list(fitted.resumed)
    record["budget"] = {
        "track": protocol.track,
        "epochs": len(fitted.epoch_s),
        "steps": len(fitted.step_s),
        "steps_s": math.fsum(fitted.step_s),
        "reached": fitted.reached,
        "time_to_target_s": fitted.time_to_target_s,
    }
    steps = summarise_steps(fitted.step_s, spec.batch_size)
    record["timing"] = {
        **steps,
        **summarise_waits(fitted.step_s, fitted.wait_s),
        **summarise_epochs(fitted.epoch_s, fitted.epoch_steps, steps["step_ms_p50"]),
        "checkpoint_s": fitted.checkpoint_s,
        "earlier_s": fitted.earlier_s,
        "peak_device_mib": devices.peak_device_mib(),
    }
    record["energy"] = {
        "train_j": math.fsum(fitted.energy_j.values()) if fitted.energy_j else None,
        **{f"train_{kind}_j": joules for kind, joules in sorted(fitted.energy_j.items())},
    }
    chosen = {"best_epoch": fitted.best_epoch, "validation_dice": fitted.validation_dice}
    if spec.evaluate == "validation":  # a trial: its curve is all that is asked
        fitted.weights.unlink()
        record["summary"] = chosen
        return
    predictor = Predictor(
        fitted.network,
        spec.patch,
        batch_size=spec.batch_size,
        overlap=protocol.overlap,
        exclusive=protocol.loss != "one_vs_rest",
    )
    largest: tuple[int, ...] = ()
    if protocol.postprocessing == "largest_component":
        with watch.span("postprocessing_s"):
            emit({"event": "stage", "stage": "choosing post-processing"})
            decision = choose(
                predictor, validation, info, progress(emit, "choosing post-processing")
            )
        record["postprocessing"], largest = decision.to_dict(), decision.labels
    with watch.span("preprocessing_s"):
        # Only now: nothing of a test case is read before training has ended.
        testing = cache.load(sides["test"], tell)
    missing = unannotated_classes(info, [*training, *validation, *testing])
    record["unannotated_classes"] = missing
    with watch.span("evaluate_s"):
        emit({"event": "stage", "stage": "evaluating"})
        evaluation = evaluate(
            predictor, testing,
            spec=spec, info=info, unannotated=missing, folder=order.folder, largest=largest,
            progress=progress(emit, "evaluating"),
        )  # fmt: skip
    with watch.span("speed_s"):
        record["timing"] |= measure_speed(
            predictor, train_s=watch.spans["train_s"], devices=device.count
        )
    inference_ms = 1e3 * np.asarray(evaluation.inference_s)
    record["timing"] |= {
        "inference_ms_p50": float(np.percentile(inference_ms, 50)),
        "inference_ms_p90": float(np.percentile(inference_ms, 90)),
    }
    scores = evaluation.summary()
    if not math.isfinite(scores["dice"]):
        raise BenchmarkError(
            "expected test cases that show at least one class in truth or prediction, found none "
            f"among {len(testing)}. Check the masks, or choose another fold."
        )
    record["summary"] = {**scores, **chosen}


def _die_with(parent: int) -> None:
    """End this process soon after the scheduler has ended, however that ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def main() -> int:
    """Serve one order; exit status 0 when a record was written, whatever its status."""
    stay_on_own_processors()
    _die_with(int(sys.argv[1]))
    faulthandler.register(signal.SIGUSR1, all_threads=True)  # "where do you stand?", into the log
    # Libraries print to standard output as they please: keep the events apart from that.
    events = Events(os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    import benchmark.training.fit  # noqa: F401  the slow imports, before the order comes

    events({"event": "ready"})
    line = sys.stdin.readline()
    if not line:
        return 0  # nothing left to do
    order = Order.from_json(line)
    lock = try_lock(order.lock)
    if lock is None:
        events({"event": "busy"})
        return 0
    with lock:
        if finished_elsewhere(order) is not None:
            events({"event": "busy"})
            return 0
        events({"event": "begun"})
        execute(order, events, started_s=time.perf_counter())
    return 0


if __name__ == "__main__":
    sys.exit(main())
