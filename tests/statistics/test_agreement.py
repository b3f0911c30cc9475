import math

import pytest

from benchmark.statistics.agreement import EF_CLASSES, agreement, ef_class, ef_confusion


@pytest.mark.parametrize(
    ("ef_pct", "name"),
    [
        (63.0, "normal"),
        (50.0, "normal"),
        (49.9, "mildly reduced"),
        (40.0, "mildly reduced"),
        (30.0, "moderately reduced"),
        (29.9, "severely reduced"),
        (-5.0, "severely reduced"),
    ],
)
def test_classes_of_ejection_fraction(ef_pct, name):
    assert ef_class(ef_pct) == name


def test_confusion_counts_what_is_not_measurable():
    assert ef_class(math.nan) is None
    table = ef_confusion([60, 45, 35, 20, 55, math.nan], [55, 51, 35, 20, math.nan, 60])
    assert len(table) == len(EF_CLASSES)
    assert table == [[1, 0, 0, 0, 1], [1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]


def test_bland_altman_oracle():
    found = agreement([55, 60, 30, 45, 65], [52, 63, 28, 50, 61])
    assert found.bias == pytest.approx(-0.2)
    assert found.sd == pytest.approx(3.962323, abs=1e-6)
    assert found.limit_low == pytest.approx(-7.966152, abs=1e-6)
    assert found.limit_high == pytest.approx(7.566152, abs=1e-6)
    assert found.mae == pytest.approx(3.4)
    assert found.pearson_r == pytest.approx(0.9593521195)
    assert (found.n_valid, found.n_failed, found.n_excluded) == (5, 0, 0)


def test_agreement_counts_who_is_left_out():
    found = agreement([50, 60, math.nan, 40], [52, math.nan, 55, 40])
    assert (found.n_valid, found.n_failed, found.n_excluded) == (2, 1, 1)
    assert found.bias == 1.0


def test_agreement_of_too_few_or_constant_values_has_no_spread():
    nobody, one = agreement([], []), agreement([50], [51])
    assert math.isnan(nobody.bias)
    assert math.isnan(nobody.mae)
    assert one.bias == 1.0
    assert math.isnan(one.sd)
    assert math.isnan(one.pearson_r)
    assert math.isnan(agreement([50, 50], [51, 52]).pearson_r)


def test_agreement_wants_pairs():
    with pytest.raises(ValueError, match="one prediction per patient"):
        agreement([1, 2], [1])
