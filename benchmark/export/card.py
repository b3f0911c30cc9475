"""The model card: what a network is, what it was made from, how good it is, and what it is not for.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019).
"""

from __future__ import annotations

import importlib.metadata
import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

import architectures
import datasets
from benchmark.data.preprocessing import CLIP_PERCENTILES
from benchmark.evaluation.quantities import METHODS, QUANTITIES, tell
from benchmark.export.check import Agreement
from benchmark.statistics.agreement import agreement as agreement_of
from benchmark.statistics.comparison import bootstrap_mean

if TYPE_CHECKING:
    from benchmark.trained import Trained

_PACKAGES = {
    "keras": ("keras",),
    "savedmodel": ("keras", "tensorflow"),
    "onnx": ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime"),
}
_LOADING = {
    "keras": 'keras.saving.load_model("{file}", compile=False)  # gives image -> logits',
    "savedmodel": 'tf.saved_model.load("{file}").signatures["serving_default"]'
    '(image=...)["logits"]',
    "onnx": 'onnxruntime.InferenceSession("{file}").run(["logits"], {{"image": ...}})[0]',
}


def preparation(trained: Trained) -> dict[str, Any]:
    """Return what an image needs before the network sees it, and its logits after, in plain types.

    Another program that follows it gives the predictions of the run's own tests.
    """
    spec = trained.spec
    planar = spec.dims == 2
    return {
        "axes": ["y", "x"] if planar else ["z", "y", "x"],
        "orientation": "as the array lies in the file, slowest axis first",
        "clip_percentiles": list(CLIP_PERCENTILES),
        "scale_to": [0.0, 1.0],
        "spacing_zyx_mm": list(spec.protocol.spacing_mm),
        "resampling": "linear, widened to the new spacing where it is coarser",
        "standardise": "by mean and standard deviation of the whole resampled case",
        "patch": list(spec.patch),
        "channels": 1,
        "window_overlap": spec.protocol.overlap,
        "window_weights": "Gaussian, sigma = window / 8",
        "activation": "sigmoid" if spec.protocol.loss == "one_vs_rest" else "softmax",
        "back": "probabilities linearly to the file's grid, then the most probable class",
        "keep_largest_piece_of": list(trained.largest),
        "labels": {"background": 0, **trained.classes},
    }


def card(
    trained: Trained, form: str, file: str, agreement: Agreement, *, layers: Sequence[str]
) -> str:
    """Return the card as Markdown.

    Args:
        trained: The run.
        form: The format of what was exported.
        file: Its name.
        agreement: From `benchmark.export.check.compare`.
        layers: Layers that Keras finds only after `import architectures.layers`.
    """
    spec, record = trained.spec, trained.record
    entry = architectures.describe(spec.architecture)
    info = datasets.info(spec.dataset)
    data = info.title + (f" ({record['release']})" if record.get("release") else "")
    parts = [
        f"# {entry.title} on {data}",
        f"Segments {', '.join(_words(trained.classes))} in {info.modality}. Run `{spec.key}`.",
    ]
    if spec.source == "phantom":
        parts.append(
            "**phantom: trained and tested on synthetic hearts. The scores say that the machinery "
            "works; they say nothing about patients, and the network is of no use on scans.**"
        )
    parts += [
        "## Intended use",
        f"Research on segmentation of {info.modality} like that of {info.title}: comparison of "
        "methods, pre-annotation that a person checks, teaching.",
        "## Limits",
        _limits(trained, info),
        "## Network",
        _network(trained, form, file, agreement, layers),
        "## Data",
        _data(trained, info, data),
        "## Protocol",
        _protocol(trained),
        "## Preparation",
        _preparation(trained),
        "## Scores",
        _scores(trained),
        "## Training cost",
        _cost(trained),
        "## Versions",
        _versions(trained, form),
    ]
    return "\n\n".join(parts) + "\n"


def _limits(trained: Trained, info: datasets.DatasetInfo) -> str:
    missing = trained.record.get("unannotated_classes") or []
    lines = [
        "For research only. This is not a medical device: it has no clearance, and no diagnosis or "
        "treatment may rest on it.",
        f"It was tested on held-out patients of {info.title} alone. On other scanners, protocols, "
        "diseases, ages or orientations it may fail without a sign; test it there first.",
        "It answers for every input, also for images that show no heart.",
        "Images must be prepared as stated below; another spacing or normalisation gives other, "
        "mostly worse, masks.",
    ]
    if missing:
        lines.append(
            f"No mask of the data shows {', '.join(_words(missing))}: the network has never "
            "learnt it, and its output for it means nothing."
        )
    return _list(lines)


def _network(
    trained: Trained, form: str, file: str, agreement: Agreement, layers: Sequence[str]
) -> str:
    spec = trained.spec
    entry = architectures.describe(spec.architecture)
    shape = "×".join(map(str, (*spec.patch, 1)))
    lines = [
        f"{entry.title}, {entry.paper}; {spec.dims}D, options `{json.dumps(dict(spec.options))}`, "
        f"{trained.record.get('params', 0):,} trainable parameters, float32.",
        f"Input `image`: float32 (batch, {shape}), any batch. Output `logits`: float32 of the same "
        f"size with {len(trained.classes) + 1} channels, background first.",
        f"`{_LOADING[form].format(file=file)}`",
        f"Loaded again and compared with the network of the run on {agreement.images} images: "
        f"largest differences {agreement}.",
    ]
    if form == "keras" and layers:
        lines.append(
            f"Holds layers that Keras does not know ({', '.join(layers)}): `import "
            "architectures.layers` of this project before it is loaded."
        )
    if form == "onnx":
        from benchmark.export.formats import OPSET

        lines.append(
            f"ONNX operator set {OPSET}. Its metadata hold the preparation as JSON under "
            "`preparation` and the run under `run`."
        )
    return _list(lines)


def _data(trained: Trained, info: datasets.DatasetInfo, data: str) -> str:
    split = trained.record.get("split") or {}
    counts = ", ".join(f"{len(members)} {side}" for side, members in split.items())
    kind = "synthetic hearts in the layout of " if trained.spec.source == "phantom" else ""
    lines = [
        f"{kind}{data}, fingerprint `{trained.spec.fingerprint}`.",
        f"Patients: {counts}; fold {trained.spec.fold}.",
    ]
    if trained.spec.source != "phantom":
        lines.append(
            f"Licence of the data: {info.licence}. Its terms may extend to what is trained on them."
        )
        if trained.record.get("release"):
            lines.append(
                f"These files are {trained.record['release']}, not the official release; licence "
                "and citation of their owners hold."
            )
    lines.append(f"Cite: {info.citation}")
    lines.append(f"Owners: {info.homepage}")
    return _list(lines)


def _protocol(trained: Trained) -> str:
    spec, protocol = trained.spec, trained.spec.protocol
    budget = trained.record.get("budget") or {}
    best = (trained.record.get("summary") or {}).get("best_epoch")
    return _list(
        [
            f"Protocol `{spec.protocol_hash}`, rules {spec.rules} of METHODOLOGY.md, seed "
            f"{spec.seed}.",
            f"{protocol.optimizer}, learning rate {protocol.learning_rate:g}, weight decay "
            f"{protocol.weight_decay:g}, loss {protocol.loss}, augmentation "
            f"{protocol.augmentation}, batches of {spec.batch_size}.",
            f"Track {protocol.track}: {budget.get('epochs', '?')} epochs, "
            f"{budget.get('steps', '?')} steps. Epoch {best} was best on validation patients; "
            "test patients chose nothing.",
        ]
    )


def _preparation(trained: Trained) -> str:
    spec = trained.spec
    plain = preparation(trained)
    steps = " × ".join("own" if each is None else f"{each:g}" for each in spec.protocol.spacing_mm)
    largest = [name for name, label in trained.classes.items() if label in trained.largest]
    low, high = CLIP_PERCENTILES
    window = "slices" if spec.dims == 2 else "volumes"
    sentences = [
        f"Clip the case at its {low:g}th and {high:g}th percentile and scale it to 0 to 1.",
        f"Resample it linearly to {steps} mm (z × y × x; own: as in the file), with a kernel that "
        "widens when shrinking, both grids covering the same field of view.",
        "Subtract the mean of the whole case and divide by its standard deviation.",
        f"Slide windows of {'×'.join(map(str, spec.patch))} over its {window}, overlapping by "
        f"{spec.protocol.overlap:.0%}; where an image is smaller, pad it with what zero intensity "
        "has become.",
        f"Take the {plain['activation']} of the logits, average windows with Gaussian weights, "
        "resample the probabilities linearly to the file's grid, and take the most probable class.",
    ]
    if largest:
        sentences.append(f"Keep the largest piece of {', '.join(_words(largest))} only.")
    numbered = "\n".join(f"{number}. {each}" for number, each in enumerate(sentences, start=1))
    return f"{numbered}\n\n```json\n{json.dumps(plain, indent=1)}\n```"


def _scores(trained: Trained) -> str:
    cases = _table(trained, "cases.csv")
    if cases.empty:
        return "The record has no table of cases."
    scored = cases[cases["outcome"] != "both_empty"]
    patients = scored["patient"].nunique()
    rows: list[Sequence[str]] = [
        ("Structure", "Dice (95 % interval)", "HD95 mm", "NSD", "patients", "failed cases")
    ]
    counted = scored[scored["kind"] == "class"]
    rows.append(("mean", *_line(counted, over_classes=True)))
    for name in scored["class"].unique():
        rows.append((_words([name])[0], *_line(scored[scored["class"] == name])))
    parts = [
        f"On the {patients} patients of the test fold, at the resolution of their files. "
        "Intervals: bootstrap over patients.",
        _markdown(rows),
    ]
    clinical = _table(trained, "clinical.csv")
    if not clinical.empty:
        found = [("Endpoint", "Method", "Bias", "Limits of agreement", "r", "patients", "failed")]
        keys = ["method", "endpoint", "unit"]
        for key, part in clinical.groupby(keys, sort=False):
            method, endpoint, unit = map(str, key)
            one = agreement_of(part["truth"].to_numpy(), part["prediction"].to_numpy())
            limits = f"{tell(endpoint, one.limit_low)} to {tell(endpoint, one.limit_high)}"
            found.append(
                (
                    QUANTITIES[endpoint].title, METHODS[method],
                    f"{tell(endpoint, one.bias)} {unit}", limits,
                    _number(one.pearson_r, 3), str(one.n_valid), str(one.n_failed),
                )
            )  # fmt: skip
        parts.append(_markdown(found))
    return "\n\n".join(parts)


def _line(rows: pd.DataFrame, *, over_classes: bool = False) -> tuple[str, ...]:
    """Dice with its interval, HD95, NSD, patients and failed cases of some rows."""

    def patients(metric: str) -> pd.Series[float]:
        per_case = rows.groupby(["patient", "case"])[metric].mean()
        return per_case.groupby(level="patient").mean()

    dice = bootstrap_mean(patients("dice").to_numpy(), seed=0)
    interval = "" if math.isnan(dice.low) else f" ({dice.low:.3f} to {dice.high:.3f})"
    failed = rows["outcome"].isin(("missed", "spurious"))
    count = rows.loc[failed, "case"].nunique() if over_classes else int(failed.sum())
    means = [patients(name).mean() if name in rows else math.nan for name in ("hd95_mm", "nsd")]
    return (
        f"{_number(dice.mean, 3)}{interval}", _number(means[0], 1), _number(means[1], 3),
        str(rows["patient"].nunique()), str(count),
    )  # fmt: skip


def _cost(trained: Trained) -> str:
    record = trained.record
    timing, environment = record.get("timing") or {}, record.get("environment") or {}
    device = environment.get("device") or {}
    lines = [
        f"{_number(timing.get('train_s'), 0)} s of training on {device.get('name', 'unknown')} "
        f"({device.get('kind', '?')}, {device.get('precision', '?')}), "
        f"{_number(timing.get('total_s'), 0)} s with preparation and tests.",
        f"{_number(timing.get('inference_ms_p50'), 0)} ms per case at inference there (median).",
        f"Peak memory {_number(timing.get('peak_rss_mib'), 0)} MiB"
        + (
            f", on the device {_number(timing['peak_device_mib'], 0)} MiB."
            if timing.get("peak_device_mib")
            else "."
        ),
    ]
    return _list(lines)


def _versions(trained: Trained, form: str) -> str:
    environment = trained.record.get("environment") or {}
    trained_with = ", ".join(
        f"{name} {version}" for name, version in (environment.get("versions") or {}).items()
    )
    now = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES[form])
    git = environment.get("git") or {}
    commit = f"`{str(git.get('commit'))[:12]}`{' with changes' if git.get('dirty') else ''}"
    lines = [
        f"Run `{trained.spec.key}` ({trained.record.get('name')}), finished "
        f"{trained.record.get('finished_utc')}, profile {trained.record.get('profile')}.",
        f"Trained with Python {environment.get('python')}, {trained_with}"
        + (f"; code {commit}." if git.get("commit") else "."),
        f"Exported with {now}.",
    ]
    return _list(lines)


def _table(trained: Trained, name: str) -> pd.DataFrame:
    path = trained.folder / name
    if not path.exists():
        return pd.DataFrame()
    return pd.read_csv(path, dtype={"patient": str, "case": str})


def _words(names: Iterable[str]) -> list[str]:
    return [name.replace("_", " ") for name in names]


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def _number(value: Any, decimals: int) -> str:
    if value is None or math.isnan(value):
        return "—"
    return f"{value:.{decimals}f}"
