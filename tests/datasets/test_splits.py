from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.case import Case, DatasetError
from datasets.splits import SPLITS, make_split

GROUPS = ("DCM", "HCM", "MINF", "NOR", "RV")
TASK02 = (3, 4, 5, 7, 9, 10, 11, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 29, 30)
# The validation patients of nnU-Net's five folds, as MONAI's dataset_task02.json lists them too.
TASK02_FOLDS = (
    (7, 16, 21, 24),
    (3, 18, 20, 23),
    (11, 14, 19, 26),
    (17, 22, 29, 30),
    (4, 5, 9, 10),
)
ACDC_FOLD_0 = (5, 7, 10, 20, 22, 27, 32, 34, 41, 46, 47, 51, 53, 59, 68, 69, 73, 75, 77, 88)


def case(patient: str, frame: str = "", **metadata: str) -> Case:
    name = f"{patient}_{frame}" if frame else patient
    return Case(name, patient, Path(f"{name}.nii.gz"), Path(f"{name}_gt.nii.gz"), metadata)


def acdc_cases(numbers=range(1, 101), subset="training"):
    return [
        case(f"patient{number:03d}", phase, subset=subset, group=GROUPS[number % 5])
        for number in numbers
        for phase in ("ED", "ES")
    ]


def task02_cases(numbers=TASK02):
    return [case(f"la_{number:03d}", subset="training") for number in numbers]


def camus_cases(sides: dict[int, str], key="official"):
    return [
        case(f"patient{number:04d}", frame, **{key: side})
        for number, side in sides.items()
        for frame in ("2CH_ED", "2CH_ES", "4CH_ED", "4CH_ES")
    ]


def patients(ids) -> set[str]:
    return {name if name.startswith("la_") else name.split("_")[0] for name in ids}


def numbers(ids) -> tuple[int, ...]:
    return tuple(sorted(int(patient.strip("pateinl_")) for patient in patients(ids)))


@st.composite
def situations(draw):
    """Any number of patients with one to four cases, a seed, a scheme, and its fold."""
    count = draw(st.integers(5, 40))
    cases = [
        case(f"patient{number:03d}", str(frame), group=draw(st.sampled_from(GROUPS)))
        for number in draw(st.permutations(range(1, count + 1)))
        for frame in range(draw(st.integers(1, 4)))
    ]
    folds = draw(st.integers(2, 5))
    name = draw(st.sampled_from(["kfold", "holdout"]))
    arguments = {
        "fold": draw(st.integers(0, folds - 1)) if name == "kfold" else 0,
        "folds": folds,
        "validation_fraction": draw(st.floats(0.05, 0.6)),
        "seed": draw(st.integers(0, 2**32)),
    }
    return name, cases, arguments


@given(situations())
def test_no_patient_is_on_two_sides_and_none_is_lost(situation):
    name, cases, arguments = situation
    split = make_split(name, cases, **arguments)
    sides = [split.train, split.validation, split.test]
    assert all(sides)
    assert sorted(sum(sides, ())) == sorted(case.id for case in cases)
    assert sum(len(patients(side)) for side in sides) == len({case.patient for case in cases})
    assert all(list(side) == sorted(side) for side in sides)


@given(situations(), st.randoms())
def test_neither_the_order_of_the_cases_nor_their_paths_matter(situation, random):
    name, cases, arguments = situation
    elsewhere = [
        Case(case.id, case.patient, Path("/mnt") / case.image, Path("b"), case.metadata)
        for case in random.sample(cases, len(cases))
    ]
    assert make_split(name, elsewhere, **arguments) == make_split(name, cases, **arguments)


@given(situations())
def test_the_folds_are_a_partition_with_even_shares_of_each_group(situation):
    _, cases, arguments = situation
    group = {case.patient: min(c.metadata["group"] for c in cases if c.patient == case.patient)
             for case in cases}  # fmt: skip
    cases = [case_with(c, group[c.patient]) for c in cases]
    tests = [
        patients(make_split("kfold", cases, **(arguments | {"fold": fold})).test)
        for fold in range(arguments["folds"])
    ]
    assert sum(map(len, tests)) == len(set().union(*tests)) == len(group)
    assert max(map(len, tests)) - min(map(len, tests)) <= 1
    counts = [Counter(group[patient] for patient in test) for test in tests]
    for name in GROUPS:
        assert max(c[name] for c in counts) - min(c[name] for c in counts) <= 1


def case_with(old: Case, group: str) -> Case:
    return Case(old.id, old.patient, old.image, old.mask, {"group": group})


def test_folds_of_acdc_hold_four_patients_of_each_group():
    split = make_split("kfold", acdc_cases(), fold=2)
    group = {case.patient: case.metadata["group"] for case in acdc_cases()}
    for side, each in ((split.train, 13), (split.validation, 3), (split.test, 4)):
        counts = Counter(group[patient] for patient in patients(side))
        assert set(counts) == set(GROUPS)
        assert all(abs(count - each) <= 1 for count in counts.values())


def test_the_seed_decides():
    splits = [make_split("kfold", acdc_cases(), seed=seed) for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


def test_the_order_is_the_same_on_every_machine_and_for_ever():
    split = make_split("kfold", task02_cases(), fold=0, folds=5, validation_fraction=0.25, seed=0)
    assert numbers(split.test) == (16, 18, 20, 23)
    assert numbers(split.validation) == (5, 7, 11, 21)


def test_validation_has_the_fraction_asked_for_and_at_least_one_patient():
    for fraction, expected in ((0.25, 20), (0.1, 8), (0.001, 1), (0.999, 79)):
        split = make_split("kfold", acdc_cases(), validation_fraction=fraction)
        assert len(patients(split.validation)) == expected


def test_holdout_keeps_one_in_five():
    split = make_split("holdout", acdc_cases())
    assert len(patients(split.test)) == 20


@pytest.mark.parametrize("fold", range(5))
def test_nnunet_on_task02_is_the_published_list(fold):
    split = make_split("nnunet", task02_cases(), fold=fold)
    assert numbers(split.test) == TASK02_FOLDS[fold]
    assert set(split.train + split.validation + split.test) == {c.id for c in task02_cases()}


def test_nnunet_on_acdc_is_the_published_list():
    assert numbers(make_split("nnunet", acdc_cases()).test) == ACDC_FOLD_0
    tests = [numbers(make_split("nnunet", acdc_cases(), fold=fold).test) for fold in range(5)]
    assert sorted(sum(tests, ())) == list(range(1, 101))


def test_nnunet_keeps_the_published_sides_where_patients_are_absent():
    present = [number for number in range(1, 101) if number % 5]
    split = make_split("nnunet", acdc_cases(present))
    assert numbers(split.test) == tuple(number for number in ACDC_FOLD_0 if number % 5)


def test_nnunet_leaves_the_testing_patients_of_acdc_out():
    cases = acdc_cases() + acdc_cases(range(101, 151), "testing")
    assert make_split("nnunet", cases) == make_split("nnunet", acdc_cases())


def test_nnunet_on_other_patients_is_its_recipe():
    # 24 patients of another challenge in Task02's layout; the lists are scikit-learn 1.8's own.
    folds = [
        (9, 11, 13, 19, 21),
        (1, 4, 15, 16, 18),
        (8, 12, 14, 17, 20),
        (7, 10, 22, 23, 24),
        (2, 3, 5, 6),
    ]
    for fold, expected in enumerate(folds):
        split = make_split("nnunet", task02_cases(range(1, 25)), fold=fold)
        assert numbers(split.test) == expected


def test_nnunet_has_no_folds_for_camus():
    with pytest.raises(DatasetError, match=r"'nnunet' is of .*patient0001.*Use 'kfold'"):
        make_split("nnunet", camus_cases({1: "training"}))


def test_acdc_official():
    cases = acdc_cases() + acdc_cases(range(101, 151), "testing")
    split = make_split("acdc_official", cases)
    assert numbers(split.test) == tuple(range(101, 151))
    assert numbers(split.train + split.validation) == tuple(range(1, 101))
    with pytest.raises(DatasetError, match="leaves test empty"):
        make_split("acdc_official", acdc_cases())
    with pytest.raises(DatasetError, match="is of ACDC"):
        make_split("acdc_official", task02_cases())


def test_camus_official_is_the_lists():
    split = make_split(
        "camus_official", camus_cases({1: "training", 2: "validation", 3: "testing", 4: "training"})
    )
    assert (numbers(split.train), numbers(split.validation), numbers(split.test)) == (
        (1, 4),
        (2,),
        (3,),
    )


def test_camus_official_on_official_test_patients_alone():
    with pytest.raises(
        DatasetError, match=r"leaves train and validation empty on the files present .*test 2\)"
    ):
        make_split("camus_official", camus_cases({47: "testing", 51: "testing"}))


def test_camus_official_without_lists_says_which():
    with pytest.raises(DatasetError, match=r"database_split/subgroup_training\.txt"):
        make_split("camus_official", [case("patient0001"), case("patient0002")])


def test_camus_official_with_a_patient_that_no_list_names():
    cases = camus_cases({1: "training", 2: "validation", 3: "testing"})
    cases.append(case("patient0501"))
    with pytest.raises(DatasetError, match="do not name patient0501"):
        make_split("camus_official", cases)


def test_camus_tenfold_is_the_lists():
    cases = camus_cases({1: "TTTVETTTTT", 2: "TTVETTTTTT", 3: "TVETTTTTTT"}, "tenfold")
    split = make_split("camus_tenfold", cases, fold=3)
    assert (numbers(split.train), numbers(split.validation), numbers(split.test)) == (
        (3,),
        (1,),
        (2,),
    )
    with pytest.raises(DatasetError, match="leaves validation and test empty"):
        make_split("camus_tenfold", cases, fold=9)


def test_camus_tenfold_without_the_lists_of_one_fold():
    cases = camus_cases({1: "....E.....", 2: "....T.....", 3: "....V....."}, "tenfold")
    assert numbers(make_split("camus_tenfold", cases, fold=4).test) == (1,)
    with pytest.raises(DatasetError, match=r"subGroup1_training\.txt"):
        make_split("camus_tenfold", cases, fold=0)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("kfolds", {}, "Did you mean 'kfold'"),
        ("kfold", {"fold": 5}, "fold from 0 to 4"),
        ("kfold", {"fold": -1}, "fold from 0 to 4"),
        ("kfold", {"folds": 1}, "needs 2 folds"),
        ("kfold", {"folds": 101}, "a patient for each"),
        ("kfold", {"validation_fraction": 0.0}, "validation_fraction between 0 and 1"),
        ("kfold", {"validation_fraction": float("nan")}, "validation_fraction between 0 and 1"),
        ("holdout", {"fold": 1}, "fold 0, its only one"),
        ("nnunet", {"fold": 5}, "fold from 0 to 4"),
    ],
)
def test_wrong_arguments(name, arguments, message):
    with pytest.raises(DatasetError, match=message):
        make_split(name, acdc_cases(), **arguments)


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("name", SPLITS)
def test_too_few_patients(name, count):
    with pytest.raises(DatasetError, match=f"'{name}'"):
        make_split(name, acdc_cases(range(5, 5 + count)), folds=2)


def test_three_patients_suffice():
    split = make_split("kfold", acdc_cases([1, 2, 3]), folds=3)
    assert len(split.train) == len(split.validation) == len(split.test) == 2
