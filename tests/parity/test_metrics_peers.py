"""Random masks scored by us and by the libraries whose definitions we follow.

Run where they are installed: `pip install medpy monai surface-distance MetricsReloaded`.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from scipy import ndimage

from benchmark.evaluation.metrics import METRICS

MASKS = 60  # per number of dimensions
# Not a distance between voxels of any spacing below: rounding would decide which side it is on.
TOLERANCE_MM = 1.913
SPACINGS_MM = ((1.0, 1.0, 1.0), (10.0, 1.5625, 1.5625), (1.37, 1.25, 1.25), (8.0, 0.308, 0.154))

pytestmark = pytest.mark.filterwarnings("ignore")  # of the peers


def random_pairs(dims, seed=0):
    """Pairs of blobs that overlap, lie apart, touch the edge, fall into pieces, or are noise."""
    rng = np.random.default_rng([seed, dims])
    while True:
        shape = tuple(int(size) for size in rng.integers(4, 22, dims))
        smooth = rng.choice([0.0, 0.8, 2.0])
        level = rng.choice([0.0, 0.5, 1.2])
        pair = []
        for noise in rng.normal(size=(2, *shape)):
            field = ndimage.gaussian_filter(noise, smooth)
            pair.append(field > level * field.std())
        if pair[0].any() and pair[1].any():
            yield (*pair, SPACINGS_MM[rng.integers(len(SPACINGS_MM))][-dims:])


def ours(truth, prediction, spacing_mm, definition="metrics_reloaded"):
    return {
        name: METRICS[name](
            truth, prediction, spacing_mm, definition=definition, tolerance_mm=TOLERANCE_MM
        )
        for name in METRICS
    }


def compare(dims, record_property, theirs, *, definition, tolerance):
    """Hold what `theirs` gives against ours on every pair; note the largest difference of each."""
    largest = {}
    for truth, prediction, spacing_mm in islice(random_pairs(dims), MASKS):
        mine = ours(truth, prediction, spacing_mm, definition)
        for name, value in theirs(truth, prediction, spacing_mm).items():
            largest[name] = max(largest.get(name, 0.0), abs(mine[name] - float(value)))
    for name, difference in largest.items():
        record_property(name, difference)
        print(f"{definition} {dims}D {name}: {difference:.1e}")  # noqa: T201
    assert max(largest.values()) <= tolerance, largest


both = pytest.mark.parametrize("dims", [2, 3])


@both
def test_medpy(dims, record_property):
    binary = pytest.importorskip("medpy.metric.binary")

    def theirs(truth, prediction, spacing_mm):
        return {
            "dice": binary.dc(prediction, truth),
            "iou": binary.jc(prediction, truth),
            "precision": binary.precision(prediction, truth),
            "recall": binary.recall(prediction, truth),
            "hd_mm": binary.hd(prediction, truth, spacing_mm),
            "hd95_mm": binary.hd95(prediction, truth, spacing_mm),
            "assd_mm": binary.assd(prediction, truth, spacing_mm),
            "masd_mm": np.mean(
                [binary.asd(prediction, truth, spacing_mm),
                 binary.asd(truth, prediction, spacing_mm)]
            ),
        }  # fmt: skip

    compare(dims, record_property, theirs, definition="pooled", tolerance=1e-6)


@both
def test_metrics_reloaded(dims, record_property):
    module = pytest.importorskip("MetricsReloaded.metrics.pairwise_measures")

    def theirs(truth, prediction, spacing_mm):
        measures = module.BinaryPairwiseMeasures(
            prediction.astype(int), truth.astype(int),
            pixdim=spacing_mm, dict_args={"nsd": TOLERANCE_MM},
        )  # fmt: skip
        hd, assd, hd95, masd = measures.measured_distance()
        nsd = measures.normalised_surface_distance()
        return {"hd_mm": hd, "hd95_mm": hd95, "assd_mm": assd, "masd_mm": masd, "nsd": nsd}

    compare(dims, record_property, theirs, definition="metrics_reloaded", tolerance=1e-6)


@both
def test_monai(dims, record_property):
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")

    def theirs(truth, prediction, spacing_mm):
        # (batch, channel, *space) with one channel for the background
        one, two = (
            torch.from_numpy(np.stack([~mask, mask])[np.newaxis].astype(np.float32))
            for mask in (truth, prediction)
        )
        options = {"spacing": list(spacing_mm)}
        return {
            "dice": monai.compute_dice(two, one, include_background=False),
            "iou": monai.compute_iou(two, one, include_background=False),
            "hd_mm": monai.compute_hausdorff_distance(two, one, **options),
            "hd95_mm": monai.compute_hausdorff_distance(two, one, percentile=95, **options),
            "assd_mm": monai.compute_average_surface_distance(two, one, symmetric=True, **options),
            "nsd": monai.compute_surface_dice(two, one, [TOLERANCE_MM], **options),
        }

    # MONAI gives float32.
    compare(dims, record_property, theirs, definition="metrics_reloaded", tolerance=1e-4)


@both
def test_surface_distance(dims, record_property):
    library = pytest.importorskip("surface_distance.metrics")

    def theirs(truth, prediction, spacing_mm):
        found = library.compute_surface_distances(truth, prediction, spacing_mm)
        from_truth, from_prediction = library.compute_average_surface_distance(found)
        return {
            "hd_mm": library.compute_robust_hausdorff(found, 100),
            "hd95_mm": library.compute_robust_hausdorff(found, 95),
            "masd_mm": (from_truth + from_prediction) / 2,
            "nsd": library.compute_surface_dice_at_tolerance(found, TOLERANCE_MM),
        }

    compare(dims, record_property, theirs, definition="area_weighted", tolerance=1e-6)
