"""A results folder as real runs leave it, made up: as many runs and cases as a page has to hold.

Everything that the report reads is there (records with their digests, scores by class, region,
phase, view and group, clinical endpoints, epochs), in the columns that real runs write. The same
arguments give the same folder. Nothing in it was measured.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import datasets
from benchmark.evaluation.cases import CASE_COLUMNS
from benchmark.evaluation.endpoints import CLINICAL_COLUMNS
from benchmark.evaluation.excerpt import write_excerpt
from benchmark.execution.order import Order, new_record
from benchmark.experiment.spec import Protocol, RunSpec
from benchmark.records import (
    cases_frame,
    clinical_frame,
    epochs_frame,
    write_atomic,
    write_record,
)
from benchmark.report.groups import Group
from benchmark.report.material import gather
from benchmark.report.site import write_site
from tests.protocols import SMALL

Numbers = npt.NDArray[np.float64]

PROTOCOL = replace(
    SMALL,
    spacing_mm=(None, 1.4, 1.4),
    patch_2d=(160, 160),
    patch_3d=(12, 128, 128),
    batch_size_2d=8,
    batch_size_3d=2,
    epochs=40,
    steps_per_epoch=(40, 40),
    validation_patches_2d=32,
    validation_patches_3d=4,
    weight_decay=0.01,
    augmentation="standard",
    precision="auto",
    compile="auto",
    overlap=0.5,
    postprocessing="largest_component",
)


@dataclass(frozen=True)
class Comparison:
    """What the runs of one comparison group share."""

    dataset: str
    source: str
    profile: str
    protocol: Protocol
    release: str = ""


COMPARISONS = (
    Comparison("acdc", "real", "cpu", replace(PROTOCOL, track="time", max_train_s=1800.0)),
    Comparison("acdc", "phantom", "quick", PROTOCOL),
    Comparison("camus", "real", "full", PROTOCOL),
    Comparison("acdc", "real", "full", PROTOCOL),
    Comparison("decathlon", "real", "full", PROTOCOL, "LA2018"),
)


@dataclass(frozen=True)
class Network:
    """A row of a leaderboard: how well it does and what it costs."""

    architecture: str
    options: Mapping[str, Any]
    dims: int
    lacking: float
    params: int
    gmacs: float
    latency_ms: float


NETWORKS = (
    Network("unet", {"filters": 32}, 2, 0.08, 7_763_000, 6.2, 11.0),
    Network("vnet", {"filters": 16}, 3, 0.14, 19_030_000, 21.5, 74.0),
    Network("attention_unet", {"filters": 32}, 2, 0.085, 8_120_000, 6.9, 14.0),
    Network("deeplabv3", {"filters": 32}, 2, 0.12, 9_922_000, 4.0, 15.0),
    Network("unet", {"filters": 16}, 2, 0.095, 1_944_000, 1.6, 5.0),
)

# By the number of the run, from 0, modulo the period.
PERIOD = 60
FAILURES = {
    6: ("oom", "expected room for batches of 2 patches, the device has 3.1 GiB left"),
    13: ("diverged", "expected a finite loss, got nan in epoch 3"),
    34: ("timeout", "expected an end within 2 h; stopped"),
}
FOLDS = 5
STARTED = datetime.datetime(2026, 5, 4, 8, 0, tzinfo=datetime.UTC)
LACKING = {"myocardium": 0.05, "right_ventricle": 0.03, "left_atrium": 0.02, "epicardium": -0.02}
SHAPE = (6, 72, 80)


def write_results(
    results: Path, *, runs: int, cases: int, seed: int = 0, pictures: bool = False
) -> list[dict[str, Any]]:
    """Write finished and failed runs of several datasets, sources and protocols.

    Args:
        results: The results folder.
        runs: How many; the first 25 are all networks on fold 0 of all comparisons.
        cases: Tested in each run; every fold has cases of its own.
        seed: Of everything that is random here.
        pictures: Write the volumes that pictures are drawn from, too.

    Returns:
        The records, each with ``path``, the folder of the run.
    """
    repeats = -(-runs // (FOLDS * len(NETWORKS) * len(COMPARISONS)))
    plan = itertools.product(range(repeats), range(FOLDS), NETWORKS, COMPARISONS)
    truths: dict[tuple[str, str, int], pd.DataFrame] = {}
    records = []
    for number, (repeat, fold, network, comparison) in enumerate(itertools.islice(plan, runs)):
        spec = RunSpec(
            architecture=network.architecture,
            options=network.options,
            dims=network.dims,
            dataset=comparison.dataset,
            source=comparison.source,
            fingerprint=f"{comparison.dataset}-{comparison.source}".ljust(16, "0")[:16],
            code="0" * 12,
            fold=fold,
            seed=repeat,
            protocol=comparison.protocol,
        )
        order = Order(spec, comparison.profile, results, results, comparison.release)
        files = (spec.dataset, spec.source, fold)
        if files not in truths:
            rng = np.random.default_rng([seed, *map(ord, f"{spec.dataset}{spec.source}{fold}")])
            truths[files] = _truth(spec.dataset, fold, cases, rng)
        record = new_record(order, STARTED + datetime.timedelta(minutes=40 * number))
        rng = np.random.default_rng([seed, number])
        order.folder.mkdir(parents=True)
        record |= {"classes": dict(datasets.info(spec.dataset).classes), **_environment()}
        record["unannotated_classes"] = []
        if number % PERIOD in FAILURES:
            status, error = FAILURES[number % PERIOD]
            record |= {"status": status, "error": error, "timing": {"total_s": 95.0}}
        else:
            record |= _finish(order, network, truths[files], rng, pictures=pictures)
        record["finished_utc"] = (
            STARTED + datetime.timedelta(minutes=40 * number + 35)
        ).isoformat()
        write_atomic(order.log, f"{spec.name}: {record['status']}\n")
        write_record(order.folder, record)
        records.append({**record, "path": order.folder})
    return records


def write_page(results: Path, records: list[dict[str, Any]]) -> tuple[Path, list[Group]]:
    """Write the page about some records, without the tables and figures that it links to.

    Returns:
        The page, and the groups on it.
    """
    cases = cases_frame(records)
    material = gather(results, records, cases, epochs_frame(records), clinical_frame(records))
    page, *_ = write_site(material, written=(), mlflow={})
    return page, material.groups


def _finish(
    order: Order,
    network: Network,
    truth: pd.DataFrame,
    rng: np.random.Generator,
    *,
    pictures: bool,
) -> dict[str, Any]:
    """Write the tables of a run that went well; return what its record says of it."""
    scored = _score(order.spec, network, truth, rng)
    epochs = _epochs(network, rng)
    clinical = _clinical(order.spec, network, truth, rng)
    for name, table in (("cases", scored), ("clinical", clinical), ("epochs", epochs)):
        write_atomic(order.folder / f"{name}.csv", table.to_csv(index=False))
    if pictures:
        _write_pictures(order.folder / "slices", order.spec.dataset, scored)
    classes = scored[(scored["kind"] == "class") & (scored["outcome"] != "both_empty")]
    means = classes.groupby("case")[["dice", "iou"]].mean().mean()
    slowness = float(rng.uniform(0.95, 1.1))
    return {
        "status": "ok",
        "params": network.params,
        "gmacs": network.gmacs,
        "timing": {
            "train_s": 25 * network.latency_ms * slowness,
            "latency_ms_p50": network.latency_ms * slowness,
            "inference_ms_p50": 9 * network.latency_ms * slowness,
            "throughput_per_s": 2000 / network.latency_ms,
            "throughput_batch": 8,
            "peak_rss_mib": 900 + 60 * network.gmacs,
            "peak_device_mib": None,
            "total_s": 40 * network.latency_ms,
        },
        "energy": {"train_j": None},
        "postprocessing": {"step": "none", "classes": {}},
        "summary": {
            "dice": float(means["dice"]),
            "iou": float(means["iou"]),
            "best_epoch": int(epochs["validation_dice"].idxmax()) + 1,
            "validation_dice": float(epochs["validation_dice"].max()),
        },
    }


def _environment() -> dict[str, Any]:
    return {
        "environment": {
            "python": "3.11.7",
            "cpu_count": 2,
            "versions": {"tensorflow": "2.21.0", "keras": "3.15.1", "numpy": "2.4.6"},
            "git": {"commit": "0" * 40, "dirty": False},
            "device": {"kind": "cpu", "name": "no device: made up", "precision": "float32"},
        }
    }


def _truth(dataset: str, fold: int, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """What is the same for every network: one row per case and class or region."""
    info = datasets.info(dataset)
    views = ("2CH", "4CH") if dataset == "camus" else ("",)
    phases = info.phases or ("",)
    patients = -(-count // (len(views) * len(phases)))
    hard = rng.gamma(1.5, 0.02, patients)
    size = rng.uniform(60, 180, patients)
    rows = []
    for index in range(patients):
        number = fold * patients + index + 1
        patient = f"la_{number:03d}" if not info.phases else f"patient{number:04d}"
        group = ("NOR", "MINF", "DCM", "HCM", "RV")[index % 5]
        for view, phase in itertools.product(views, phases):
            for name in (*info.classes, *info.regions):
                rows.append(
                    {
                        "case": "_".join(filter(None, (patient, view, phase))),
                        "patient": patient,
                        "phase": phase,
                        "group": group if dataset == "acdc" else "",
                        "view": view,
                        "quality": ("Good", "Medium", "Poor")[index % 3] if views[0] else "",
                        "class": name,
                        "kind": "class" if name in info.classes else "region",
                        "hard": hard[index],
                        "size": size[index] * (0.5 if phase == "ES" else 1),
                    }
                )
    frame = pd.DataFrame(rows)
    kept = frame["case"].drop_duplicates().head(count)
    frame = frame[frame["case"].isin(kept)].reset_index(drop=True)
    gone = (frame["class"] == "right_ventricle") & (frame["phase"] == "ES")
    frame["empty"] = gone & (rng.random(len(frame)) < 0.02)
    return frame


def _score(
    spec: RunSpec, network: Network, truth: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """The rows of ``cases.csv``."""
    count, planar = len(truth), spec.dataset == "camus"
    frame = truth.assign(run=spec.key, source=spec.source)
    for axis in ("architecture", "dataset", "fold", "seed"):
        frame[axis] = getattr(spec, axis)
    lacking = network.lacking + truth["class"].map(LACKING).fillna(0).to_numpy()
    lacking += np.where(truth["phase"] == "ES", 0.02, 0)
    dice = 1 - lacking - truth["hard"].to_numpy() * rng.uniform(0.6, 1.6, count)
    dice = np.clip(dice + 0.005 * rng.normal(size=count), 0.05, 0.99)
    empty = truth["empty"].to_numpy()
    missed = (rng.random(count) < 0.004) & ~empty
    dice = np.where(missed, 0.0, np.where(empty, np.nan, dice))
    frame["outcome"] = np.select([empty, missed], ["both_empty", "missed"], "scored")
    size = np.where(empty, 0, truth["size"])
    error = 1 - dice
    values = {
        "dice": dice,
        "iou": dice / (2 - dice),
        "precision": np.clip(dice + 0.02, 0, 1),
        "recall": np.clip(dice - 0.02, 0, 1),
        "volume_truth_ml": np.full(count, np.nan) if planar else size,
        "volume_prediction_ml": np.full(count, np.nan) if planar else size * (1 - 0.4 * error),
        "volume_error_ml": np.full(count, np.nan) if planar else -0.4 * size * error,
        "hd_mm": 60 * error,
        "hd95_mm": 30 * error,
        "assd_mm": 6 * error,
        "masd_mm": 6 * error,
        "nsd": dice**0.7,
        "area_truth_cm2": size / 4 if planar else np.full(count, np.nan),
        "loss_boundary": np.where(missed, 0, 0.7) * error,
        "loss_missed": np.where(missed, 1, 0.2) * error,
        "loss_invented": np.where(missed, 0, 0.1) * error,
        "dice_base": np.full(count, np.nan) if planar else 0.9 * dice,
        "dice_mid": np.full(count, np.nan) if planar else np.minimum(1, 1.02 * dice),
        "dice_apex": np.full(count, np.nan) if planar else 0.8 * dice,
        "inference_s": np.full(count, network.latency_ms / 100),
    }
    frame = frame.assign(**{name: np.round(value, 5) for name, value in values.items()})
    return frame[list(CASE_COLUMNS)]


def _clinical(
    spec: RunSpec, network: Network, truth: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """The rows of ``clinical.csv``: volumes of each patient, and what follows from them."""
    people = truth.drop_duplicates("patient").reset_index(drop=True)
    edv, ef = people["size"].to_numpy(), 20 + 50 * (people["hard"].rank(pct=True)).to_numpy()
    noise = 1 + 0.5 * network.lacking * rng.normal(-0.2, 1, (2, len(people)))
    measured: dict[tuple[str, str, str], tuple[Numbers, Numbers]] = {}
    if spec.dataset == "decathlon":
        measured["la_volume", "voxel_count", "mL"] = (edv, edv * noise[0])
    else:
        method = "voxel_count" if spec.dataset == "acdc" else "simpson_biplane"
        for side in ("lv", "rv") if spec.dataset == "acdc" else ("lv",):
            esv = edv * (1 - ef / 100)
            found = edv * noise[0], esv * noise[1]
            measured[f"{side}_edv", method, "mL"] = (edv, found[0])
            measured[f"{side}_esv", method, "mL"] = (esv, found[1])
            measured[f"{side}_ef", method, "%"] = (ef, 100 * (1 - found[1] / found[0]))
        if spec.dataset == "acdc":
            measured["lv_mass", method, "g"] = (0.9 * edv, 0.9 * edv * noise[0])
    axes = {axis: getattr(spec, axis) for axis in ("architecture", "dataset", "fold", "seed")}
    lost = rng.random(len(people)) < 0.01
    tables = [
        people[["patient", "group", "quality"]].assign(
            **axes,
            run=spec.key,
            source=spec.source,
            endpoint=endpoint,
            method=method,
            unit=unit,
            truth=np.round(true, 3),
            prediction=np.where(lost, np.nan, np.round(found, 3)),
            reason=np.where(lost, "not measurable: prediction: no left ventricle", ""),
        )
        for (endpoint, method, unit), (true, found) in measured.items()
    ]
    return pd.concat(tables, ignore_index=True)[list(CLINICAL_COLUMNS)]


def _epochs(network: Network, rng: np.random.Generator, count: int = 40) -> pd.DataFrame:
    epoch = np.arange(1, count + 1)
    spent = np.full(count, network.latency_ms / 2)
    dice = (1 - network.lacking) * (1 - np.exp(-epoch / 6)) + 0.008 * rng.normal(size=count)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "steps": 40 * epoch,
            "loss": np.round(1.4 * np.exp(-epoch / 8) + 0.15 + 0.01 * rng.normal(size=count), 5),
            "validation_dice": np.round(dice, 5),
            "learning_rate": np.round(2e-3 * (1 - (epoch - 1) / count) ** 0.9, 7),
            "epoch_s": spent,
            "validation_s": 0.1 * spent,
            "elapsed_s": np.cumsum(1.1 * spent),
        }
    )


def _write_pictures(folder: Path, dataset: str, scored: pd.DataFrame) -> None:
    """Image, truth and prediction of every case: a heart, and one the worse the lower the Dice."""
    labels = datasets.info(dataset).classes
    noise = np.random.default_rng(3).normal(0, 12, SHAPE)
    for case, rows in scored[scored["kind"] == "class"].groupby("case"):
        dice = float(rows["dice"].mean())
        truth, prediction = _heart(labels, 0.0), _heart(labels, 0.4 * (1 - dice))
        image = np.clip(70 + noise + 45 * (truth > 0) + 25.0 * truth, 0, 255)
        spacing = (8.0, 1.5, 1.5)
        if dataset == "camus":
            image, truth, prediction, spacing = image[2], truth[2], prediction[2], spacing[1:]
        path = folder / f"{case}.npz"
        write_excerpt(path, image.astype(np.float32), truth, prediction, spacing, dice=dice)


def _heart(labels: Mapping[str, int], shift: float) -> npt.NDArray[np.uint8]:
    """Label map ``(z, y, x)``: rings that shrink towards the apex, moved by a part of the image."""
    z, y, x = np.indices(SHAPE)
    scale = 1 - 0.1 * z
    y, x = y / SHAPE[1] - 0.5 - shift, x / SHAPE[2] - 0.55
    radius = np.hypot(y, x) / scale
    mask = np.zeros(SHAPE, np.uint8)
    if "left_atrium" in labels:
        mask[np.hypot(y - 0.28, x) < 0.1 * scale] = labels["left_atrium"]
    if "right_ventricle" in labels:
        mask[np.hypot(y, x + 0.24) < 0.13 * scale] = labels["right_ventricle"]
    if "myocardium" in labels:
        mask[radius < 0.2] = labels["myocardium"]
    if "left_ventricle" in labels:
        mask[radius < 0.13] = labels["left_ventricle"]
    return mask
