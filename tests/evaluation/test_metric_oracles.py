"""Values of four independent libraries on stated masks, met to 1e-6."""

import numpy as np
import pytest

from benchmark.evaluation import surface
from benchmark.evaluation.metrics import METRICS

TO_1E_6 = {"abs": 1e-6, "rel": 1e-6}


def rectangles():
    truth, prediction = np.zeros((2, 20, 24), bool)
    truth[4:14, 5:17] = True
    prediction[6:16, 5:19] = True
    return truth, prediction


def discs():
    y, x = np.mgrid[:64, :64]
    return (y - 30) ** 2 + (x - 30) ** 2 <= 15**2, (y - 33) ** 2 + (x - 34) ** 2 <= 17**2


def balls():
    z, y, x = np.mgrid[:12, :40, :40]
    return (
        ((z - 5) * 3) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 12**2,
        ((z - 6) * 3) ** 2 + (y - 21) ** 2 + (x - 22) ** 2 <= 13**2,
    )


def stray():
    truth, _ = discs()
    prediction = truth.copy()
    prediction[2, 2] = True
    return truth, prediction


RECIPES = {
    "rectangles": (rectangles, (1.0, 1.0)),
    "rectangles, anisotropic": (rectangles, (0.5, 2.0)),
    "discs": (discs, (1.0, 1.0)),
    "discs at CAMUS spacing": (discs, (0.308, 0.154)),
    "balls at ACDC spacing": (balls, (10.0, 1.5625, 1.5625)),
    "balls at atrium spacing": (balls, (1.37, 1.25, 1.25)),
    "disc with a stray pixel": (stray, (1.0, 1.0)),
}

# Keys as the libraries give them: MedPy (pooled), Metrics Reloaded, MONAI (its float32 NSD), and
# DeepMind's surface-distance (area weighted).
ORACLES = {
    "rectangles": {
        "overlap": {
            "dice": 0.7384615384615385,
            "iou": 0.5853658536585366,
            "precision": 96 / 140,
            "recall": 96 / 120,
        },
        "pooled": {
            "hd_mm": 2.8284271247461903,
            "hd95_mm": 2.0,
            "assd_mm": 1.4916733699969735,
            "from_prediction": 1.5295582518124036,
            "from_truth": 1.45,
        },
        "metrics_reloaded": {
            "hd_mm": 2.8284271247461903,
            "hd95_mm": 2.200657780874822,
            "assd_mm": 1.4916733699969735,
            "masd_mm": 1.4897791259062019,
            "nsd": 0.9642857142857143,
        },
        "metrics_reloaded nsd": {1: 0.3095238208770752, 2: 0.9642857313156128, 3: 1.0},
        "area_weighted": {
            "hd95_mm": 2.23606797749979,
            "from_truth": 1.4533020441265656,
            "from_prediction": 1.5225914568902408,
        },
        "area_weighted nsd": {1: 0.3057681846173887, 2: 0.9698059138495608, 3: 1.0},
    },
    "rectangles, anisotropic": {
        "overlap": {
            "dice": 0.7384615384615385,
            "iou": 0.5853658536585366,
            "precision": 96 / 140,
            "recall": 96 / 120,
        },
        "pooled": {
            "hd_mm": 4.123105625617661,
            "hd95_mm": 4.0,
            "assd_mm": 1.1832178866341276,
            "from_prediction": 1.5202341472106071,
            "from_truth": 0.8125,
        },
        "metrics_reloaded": {
            "hd_mm": 4.123105625617661,
            "hd95_mm": 4.0,
            "assd_mm": 1.1832178866341276,
            "masd_mm": 1.1663670736053038,
            "nsd": 0.8690476190476191,
        },
        "metrics_reloaded nsd": {
            1: 0.8095238208770752,
            2: 0.8690476417541504,
            3: 0.8809523582458496,
        },
        "area_weighted": {
            "hd95_mm": 4.0,
            "from_truth": 0.9294370226853219,
            "from_prediction": 1.261327782742966,
        },
        "area_weighted nsd": {1: 0.8931537208464868, 2: 0.9258745713256838, 3: 0.946325102875182},
    },
    "discs": {
        "overlap": {
            "dice": 0.7875776397515528,
            "iou": 0.6495901639344263,
            "precision": 634 / 901,
            "recall": 634 / 709,
        },
        "pooled": {
            "hd_mm": 7.211102550927978,
            "hd95_mm": 6.41837822218617,
            "assd_mm": 3.288261989210998,
            "from_prediction": 3.455961212327162,
            "from_truth": 3.096605734221096,
        },
        "metrics_reloaded": {
            "hd_mm": 7.211102550927978,
            "hd95_mm": 6.708203932499369,
            "assd_mm": 3.288261989210998,
            "masd_mm": 3.2762834732741295,
            "nsd": 0.3611111111111111,
        },
        "metrics_reloaded nsd": {
            1: 0.21666666865348816,
            2: 0.3611111044883728,
            3: 0.5444444417953491,
        },
        "area_weighted": {
            "hd95_mm": 6.4031242374328485,
            "from_truth": 2.9031322185022317,
            "from_prediction": 3.2839690399331958,
        },
        "area_weighted nsd": {1: 0.24023050188014247, 2: 0.4012834272710872, 3: 0.573223304703363},
    },
    "discs at CAMUS spacing": {
        "overlap": {
            "dice": 0.7875776397515528,
            "iou": 0.6495901639344263,
            "precision": 634 / 901,
            "recall": 634 / 709,
        },
        "pooled": {
            "hd_mm": 1.6586307605974273,
            "hd95_mm": 1.5178878964027698,
            "assd_mm": 0.6738919404874303,
            "from_prediction": 0.7236526702937658,
            "from_truth": 0.6170225349944756,
        },
        "metrics_reloaded": {
            "hd_mm": 1.6586307605974273,
            "hd95_mm": 1.5476245025466444,
            "assd_mm": 0.6738919404874303,
            "masd_mm": 0.6703376026441206,
            "nsd": 1.0,
        },
        "metrics_reloaded nsd": {1: 0.7555555701255798, 2: 1.0, 3: 1.0},
        "area_weighted": {
            "hd95_mm": 1.54,
            "from_truth": 0.572298356211945,
            "from_prediction": 0.6724360168922573,
        },
        "area_weighted nsd": {1: 0.7835519753796818, 2: 1.0, 3: 1.0},
    },
    "balls at ACDC spacing": {
        "overlap": {
            "dice": 0.7596330275229358,
            "iou": 0.6124260355029586,
            "precision": 2070 / 3097,
            "recall": 2070 / 2353,
        },
        "pooled": {
            "hd_mm": 15.064963491492437,
            "hd95_mm": 10.93303480283494,
            "assd_mm": 3.943907285305419,
            "from_prediction": 4.566465636026285,
            "from_truth": 3.200410447027299,
        },
        "metrics_reloaded": {
            "hd_mm": 15.064963491492437,
            "hd95_mm": 11.154105185984216,
            "assd_mm": 3.943907285305419,
            "masd_mm": 3.8834380415267917,
            "nsd": 0.40191146881287726,
        },
        "metrics_reloaded nsd": {
            1: 0.23541247844696045,
            2: 0.4019114673137665,
            3: 0.4678068459033966,
        },
        "area_weighted": {
            "hd95_mm": 10.592782035423934,
            "from_truth": 2.0802947650317716,
            "from_prediction": 3.292765588397385,
        },
        "area_weighted nsd": {1: 0.3402370483048061, 2: 0.5359847212858971, 3: 0.600039072766066},
    },
    "balls at atrium spacing": {
        "overlap": {
            "dice": 0.7596330275229358,
            "iou": 0.6124260355029586,
            "precision": 2070 / 3097,
            "recall": 2070 / 2353,
        },
        "pooled": {
            "hd_mm": 4.710562599095781,
            "hd95_mm": 3.0116606714568626,
            "assd_mm": 1.4245900167884833,
            "from_prediction": 1.567932382140301,
            "from_truth": 1.253401893929028,
        },
        "metrics_reloaded": {
            "hd_mm": 4.710562599095781,
            "hd95_mm": 3.7091238857714095,
            "assd_mm": 1.4245900167884833,
            "masd_mm": 1.4106671380346643,
            "nsd": 0.7701207243460765,
        },
        "metrics_reloaded nsd": {
            1: 0.23541247844696045,
            2: 0.7701207399368286,
            3: 0.9341046214103699,
        },
        "area_weighted": {
            "hd95_mm": 3.112780107877844,
            "from_truth": 1.0208188050730802,
            "from_prediction": 1.334912744223795,
        },
        "area_weighted nsd": {1: 0.33888925114017293, 2: 0.819784016232937, 3: 0.9565515559971431},
    },
    "disc with a stray pixel": {
        "overlap": {
            "dice": 0.9992952783650458,
            "iou": 0.9985915492957746,
            "precision": 709 / 710,
            "recall": 709 / 709,
        },
        "pooled": {
            "hd_mm": 24.758836806279895,
            "hd95_mm": 0.0,
            "assd_mm": 0.14650199293656743,
            "from_prediction": 0.29128043301505757,
            "from_truth": 0.0,
        },
        "metrics_reloaded": {
            "hd_mm": 24.758836806279895,
            "hd95_mm": 0.0,
            "assd_mm": 0.14650199293656743,
            "masd_mm": 0.14564021650752879,
            "nsd": 0.9940828402366864,
        },
        "metrics_reloaded nsd": {
            1: 0.9940828680992126,
            2: 0.9940828680992126,
            3: 0.9940828680992126,
        },
        "area_weighted": {"hd95_mm": 0.0, "from_truth": 0.0, "from_prediction": 0.6504318965957901},
        "area_weighted nsd": {1: 0.986290312999876, 2: 0.986290312999876, 3: 0.986290312999876},
    },
}


@pytest.mark.parametrize("case", RECIPES)
@pytest.mark.parametrize("definition", ["overlap", *surface.DEFINITIONS])
def test_metrics_meet_the_oracles(case, definition):
    recipe, spacing_mm = RECIPES[case]
    wanted = {name: value for name, value in ORACLES[case][definition].items() if name in METRICS}
    options = {} if definition == "overlap" else {"definition": definition}
    measured = {name: METRICS[name](*recipe(), spacing_mm, **options) for name in wanted}
    assert measured == pytest.approx(wanted, **TO_1E_6)


@pytest.mark.parametrize("case", RECIPES)
@pytest.mark.parametrize("definition", ["pooled", "area_weighted"])
def test_directed_means_meet_the_oracles(case, definition):
    recipe, spacing_mm = RECIPES[case]
    distances = surface.surface_distances(*recipe(), spacing_mm, definition)
    wanted = ORACLES[case][definition]
    assert distances.from_truth.mean() == pytest.approx(wanted["from_truth"], **TO_1E_6)
    assert distances.from_prediction.mean() == pytest.approx(wanted["from_prediction"], **TO_1E_6)


@pytest.mark.parametrize("case", RECIPES)
@pytest.mark.parametrize("definition", ["metrics_reloaded", "area_weighted"])
def test_nsd_meets_the_oracles_at_three_tolerances(case, definition):
    recipe, spacing_mm = RECIPES[case]
    wanted = ORACLES[case][f"{definition} nsd"]
    measured = {
        tolerance: METRICS["nsd"](
            *recipe(), spacing_mm, tolerance_mm=float(tolerance), definition=definition
        )
        for tolerance in wanted
    }
    assert measured == pytest.approx(wanted, **TO_1E_6)
