"""Records, cases and epochs as finished runs leave them, made up but shaped like the real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.evaluation.excerpt import write_excerpt

CLASSES = {
    "acdc": {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3},
    "camus": {"left_ventricle": 1, "myocardium": 2, "left_atrium": 3},
    "decathlon": {"left_atrium": 1},
}
PARAMETERS = {"unet": 1_940_000, "attention_unet": 2_020_000, "vnet": 4_400_000}
QUALITY = {"unet": 0.05, "attention_unet": 0.06, "vnet": 0.09, "deeplabv3": 0.12}
CASE_COLUMNS = [
    *("run", "architecture", "dataset", "source", "fold", "seed", "case", "patient", "phase"),
    *(
        "group",
        "view",
        "quality",
        "class",
        "outcome",
        "dice",
        "iou",
        "hd95_mm",
        "nsd",
        "volume_truth_ml",
    ),
    *("area_truth_cm2", "loss_boundary", "loss_missed", "loss_invented"),
    *("dice_base", "dice_mid", "dice_apex", "inference_s"),
]


def make_record(
    root: Path,
    architecture: str = "unet",
    dataset: str = "acdc",
    source: str = "phantom",
    *,
    fold: int = 0,
    seed: int = 0,
    status: str = "ok",
    protocol_hash: str = "0123456789abcdef",
    unannotated: tuple[str, ...] = (),
    **options: Any,
) -> dict[str, Any]:
    rng = np.random.default_rng(len(architecture) + 7 * seed)
    key = f"{architecture}-{dataset}-{source}-f{fold}-s{seed}-{protocol_hash[:4]}" + "".join(
        f"-{name}{value}" for name, value in sorted(options.items())
    )
    ok = status == "ok"
    timing = {
        "train_s": float(60 * rng.uniform(2, 5)),
        "inference_ms_p50": float(rng.uniform(20, 90) * (3 if architecture == "vnet" else 1)),
        "peak_rss_mib": float(rng.uniform(900, 2400)),
    }
    return {
        "key": key,
        "status": status,
        "error": None if ok else "expected 4 GiB, 3 GiB are left\nTraceback",
        "spec": {
            "architecture": architecture,
            "options": options,
            "dims": 2,
            "dataset": dataset,
            "source": source,
            "fold": fold,
            "seed": seed,
            "protocol": {},
        },
        "protocol_hash": protocol_hash,
        "profile": "quick",
        "classes": CLASSES[dataset],
        "unannotated_classes": list(unannotated),
        "params": PARAMETERS.get(architecture, 6_600_000) if ok else None,
        "timing": timing if ok else {"total_s": 12.0},
        "environment": {},
        "path": root / "runs" / key,
    }


def make_cases(record: dict[str, Any], patients: int = 10) -> pd.DataFrame:
    """The cases of one run; every fold has patients of its own."""
    spec = record["spec"]
    rng = np.random.default_rng([spec["seed"], *map(ord, spec["architecture"][:3]), spec["fold"]])
    rows = []
    for index in range(patients * spec["fold"], patients * (spec["fold"] + 1)):
        hard = float(np.random.default_rng([index, 5]).gamma(1.5, 0.03))
        for view in ("2CH", "4CH") if spec["dataset"] == "camus" else ("",):
            for phase in ("ED", "ES"):
                for name in record["classes"]:
                    dice = 1 - QUALITY.get(spec["architecture"], 0.1) - hard * rng.uniform(0.6, 1.4)
                    outcome = "scored"
                    if (index, phase, name) == (3, "ES", "right_ventricle"):
                        outcome, dice = "both_empty", np.nan
                    elif (index, phase, name) == (4, "ES", "myocardium"):
                        outcome, dice = "missed", 0.0
                    rows.append(
                        {
                            "run": record["key"],
                            **{axis: spec[axis] for axis in ("architecture", "dataset", "source")},
                            **{axis: spec[axis] for axis in ("fold", "seed")},
                            "case": "_".join(filter(None, [f"patient{index:03d}", view, phase])),
                            "patient": f"patient{index:03d}",
                            "phase": phase,
                            **_metadata(spec["dataset"], index, view),
                            "class": name,
                            "outcome": outcome,
                            "dice": dice,
                            "iou": dice / (2 - dice),
                            "hd95_mm": 30 * (1 - dice),
                            "nsd": dice**0.7,
                            "inference_s": 0.05,
                            **_errors(spec["dataset"], index, name, dice, outcome),
                        }
                    )
    return pd.DataFrame(rows, columns=CASE_COLUMNS)


CLINICAL_COLUMNS = [
    *("run", "architecture", "dataset", "source", "fold", "seed", "patient", "group", "quality"),
    *("endpoint", "method", "unit", "truth", "prediction", "reason"),
]
UNITS = {"ef": "%", "mass": "g"}


def make_clinical(record: dict[str, Any], patients: int = 10) -> pd.DataFrame:
    """Volumes of patients that are the same for every network, and networks that err a little."""
    spec = record["spec"]
    rng = np.random.default_rng([spec["seed"], *map(ord, spec["architecture"][:3])])
    error = QUALITY.get(spec["architecture"], 0.1)
    rows = []
    for index in range(patients):
        heart = np.random.default_rng([index, 6])

        def volumes(low: float, high: float, heart: Any = heart) -> dict[str, Any]:
            edv, ef = heart.uniform(low, high), heart.uniform(0.2, 0.68)
            pairs = {}
            for phase, true in (("edv", edv), ("esv", edv * (1 - ef))):
                pairs[phase] = (true, true * (1 - 0.4 * error + rng.normal(0, 1.2 * error)))
            (edv, edv_found), (esv, esv_found) = pairs.values()
            pairs["sv"] = (edv - esv, edv_found - esv_found)
            pairs["ef"] = (100 * (1 - esv / edv), 100 * (1 - esv_found / edv_found))
            return pairs

        measured: dict[tuple[str, str], tuple[float, float]] = {}
        if spec["dataset"] == "decathlon":
            true = heart.uniform(40, 160)
            found = true * (1 + rng.normal(0.1 * error, 0.8 * error))
            measured["voxel_count", "la_volume"] = (true, found)
        elif spec["dataset"] == "acdc":
            for prefix in ("lv", "rv"):
                for name, pair in volumes(80, 300).items():
                    measured["voxel_count", f"{prefix}_{name}"] = pair
            true = heart.uniform(60, 240)
            measured["voxel_count", "lv_mass"] = (true, true * (1 + rng.normal(0, 0.7 * error)))
        else:
            exact = volumes(60, 200)
            for method, bias in (("biplane", 1.0), ("2ch", 1.04), ("4ch", 0.97)):
                for name, (true, found) in exact.items():
                    measured[f"simpson_{method}", f"lv_{name}"] = (true * bias, found * bias)
            for name, (true, found) in exact.items():
                measured["camus_official", f"lv_{name}"] = (round(true), round(found))
            true, found = measured["camus_official", "lv_ef"]
            measured["camus_stated", "lv_ef"] = (float(round(true)), found)
        for (method, endpoint), (true, found) in measured.items():
            lost = index == 4 and spec["architecture"] == "vnet" and endpoint.startswith("lv")
            rows.append(
                {
                    "run": record["key"],
                    **{axis: spec[axis] for axis in ("architecture", "dataset", "source")},
                    **{axis: spec[axis] for axis in ("fold", "seed")},
                    "patient": f"patient{index:03d}",
                    "endpoint": endpoint,
                    "method": method,
                    "unit": UNITS.get(endpoint.split("_")[1], "mL"),
                    "truth": true,
                    "prediction": np.nan if lost else found,
                    "reason": "not measurable: prediction: no left ventricle" if lost else "",
                }
            )
    return pd.DataFrame(rows, columns=CLINICAL_COLUMNS)


def _metadata(dataset: str, index: int, view: str) -> dict[str, str]:
    if dataset == "acdc":
        return {"group": ("NOR", "MINF", "DCM", "HCM", "RV")[index % 5]}
    if dataset == "camus":
        return {"view": view, "quality": ("Good", "Medium", "Poor")[index % 3]}
    return {}


def _errors(dataset: str, index: int, name: str, dice: float, outcome: str) -> dict[str, float]:
    """Sizes, and the parts of what the Dice lacks, as `locate_errors` gives them."""
    planar = dataset == "camus"
    rng = np.random.default_rng([index, *map(ord, name)])  # the truth is the same for all
    size = 0.0 if outcome == "both_empty" else float(rng.uniform(20, 180))
    part = 1.0 if outcome == "missed" else rng.uniform(0.1, 0.3)
    ends = {"base": 0.9, "mid": 1.02, "apex": 0.8}
    return {
        "volume_truth_ml": np.nan if planar else size,
        "area_truth_cm2": size / 4 if planar else np.nan,
        "loss_missed": part * (1 - dice),
        "loss_invented": 0.5 * (1 - part) * (1 - dice),
        "loss_boundary": 0.5 * (1 - part) * (1 - dice),
        **{
            f"dice_{end}": np.nan if planar else min(1.0, factor * dice)
            for end, factor in ends.items()
        },
    }


def make_epochs(record: dict[str, Any], epochs: int = 30) -> pd.DataFrame:
    spec = record["spec"]
    rng = np.random.default_rng([spec["seed"], *map(ord, spec["architecture"][:3])])
    step = np.arange(1, epochs + 1)
    ceiling = 1 - QUALITY.get(spec["architecture"], 0.1)
    return pd.DataFrame(
        {
            "run": record["key"],
            **{axis: spec[axis] for axis in ("architecture", "dataset", "source")},
            **{axis: spec[axis] for axis in ("fold", "seed")},
            "epoch": step,
            "loss": 1.4 * np.exp(-step / 8) + 0.15 + rng.normal(0, 0.015, epochs),
            "validation_dice": ceiling * (1 - np.exp(-step / 5)) + rng.normal(0, 0.01, epochs),
            "learning_rate": 1e-3,
            "epoch_s": 6.0,
            "elapsed_s": 6.0 * step * (2 if spec["architecture"] == "vnet" else 1),
        }
    )


def _heart(labels: dict[str, int], shape: tuple[int, int], shift: tuple[float, float]) -> Any:
    rows, columns = np.indices(shape)
    y, x = (rows / shape[0] - 0.5 - shift[0]), (columns / shape[1] - 0.55 - shift[1])
    radius = np.hypot(y * 1.1, x)
    mask = np.zeros(shape, np.uint8)
    if "left_atrium" in labels:
        mask[np.hypot(y - 0.25, x * 0.8) < 0.09] = labels["left_atrium"]
    if "right_ventricle" in labels:
        mask[np.hypot(y * 0.9, x + 0.2) < 0.14] = labels["right_ventricle"]
    if "myocardium" in labels:
        mask[radius < 0.17] = labels["myocardium"]
    if "left_ventricle" in labels:
        mask[radius < 0.11] = labels["left_ventricle"]
    return mask


def write_slices(record: dict[str, Any], cases: pd.DataFrame, side: int = 160) -> None:
    folder = record["path"] / "slices"
    folder.mkdir(parents=True, exist_ok=True)
    shape = (side, round(side * 1.2))
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 10, shape)
    for case, part in cases.groupby("case"):
        error = 1 - part["dice"].mean()
        truth = _heart(record["classes"], shape, (0, 0))
        prediction = _heart(record["classes"], shape, (0.4 * error, -0.25 * error))
        image = np.clip(60 + noise + 40 * (truth > 0) + 60 * (truth == 3), 0, 255)
        np.savez_compressed(
            folder / f"{case}.npz",
            image=image.astype(np.uint8),
            truth=truth,
            prediction=prediction,
            spacing_mm=np.array([1.4, 1.4]),
            dice=1 - error,
        )


def write_volumes(record: dict[str, Any], cases: pd.DataFrame, depth: int = 5) -> None:
    """Pictures of every case as runs leave them now: planar for echo, else with some slices."""
    shape = (70, 84)
    planar = record["spec"]["dataset"] == "camus"
    for index, (case, part) in enumerate(cases.groupby("case")):
        error = 1 - part["dice"].mean()
        size = 1 - 0.1 * (part["phase"].iloc[0] == "ES")
        truth, predicted = (
            np.stack([
                _heart(record["classes"], shape, (place[0] + 0.02 * z / depth, place[1]))
                for z in range(depth)
            ])
            for place in ((0.0, 0.0), (0.4 * error, -0.25 * error * size))
        )  # fmt: skip
        image = np.random.default_rng(index).normal(60, 10, truth.shape) + 40 * (truth > 0)
        whole = np.s_[0] if planar else np.s_[:]
        write_excerpt(
            record["path"] / "slices" / f"{case}.npz",
            image[whole].astype(np.float32), truth[whole], predicted[whole],
            (1.4, 1.4) if planar else (9.0, 1.4, 1.4),
            dice=1 - error,
        )  # fmt: skip


@pytest.fixture
def volumes() -> Callable[..., None]:
    return write_volumes


@pytest.fixture
def record() -> Callable[..., dict[str, Any]]:
    return make_record


@pytest.fixture
def cases() -> Callable[..., pd.DataFrame]:
    return make_cases


@pytest.fixture
def clinical() -> Callable[..., pd.DataFrame]:
    """The clinical endpoints of those records that are ok."""

    def build(records: list[dict[str, Any]], *, patients: int = 10) -> pd.DataFrame:
        done = [make_clinical(item, patients) for item in records if item["status"] == "ok"]
        return pd.concat(done, ignore_index=True) if done else pd.DataFrame()

    return build


@pytest.fixture
def finished() -> Callable[..., tuple[list[dict[str, Any]], pd.DataFrame, pd.DataFrame]]:
    """Cases, epochs and slices of records; those that failed have none."""

    def build(
        records: list[dict[str, Any]], *, patients: int = 10, slices: bool = True, side: int = 160
    ) -> tuple[list[dict[str, Any]], pd.DataFrame, pd.DataFrame]:
        done = [item for item in records if item["status"] == "ok"]
        tables = [make_cases(item, patients) for item in done]
        if slices:
            for item, table in zip(done, tables, strict=True):
                write_slices(item, table, side)
        curves = [make_epochs(item) for item in done]
        return (
            records,
            pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(),
            pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(),
        )

    return build
