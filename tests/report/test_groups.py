import pandas as pd

from benchmark.report.groups import comparison_groups


def test_dataset_source_and_protocol_separate_groups(record, finished, tmp_path):
    records, cases, epochs = finished(
        [
            record(tmp_path, "unet", "acdc", "phantom"),
            record(tmp_path, "unet", "acdc", "real"),
            record(tmp_path, "unet", "camus", "real"),
            record(tmp_path, "unet", "acdc", "real", protocol_hash="feedfacecafe"),
        ],
        patients=2,
        slices=False,
    )
    groups = comparison_groups(records, cases, epochs)
    assert [group.slug for group in groups] == [
        "acdc_phantom",
        "acdc_real_01234567",
        "acdc_real_feedface",
        "camus_real",
    ]
    for group in groups:
        assert set(group.cases["run"]) == set(group.epochs["run"]) == {group.runs[0].key}
        assert set(group.cases["source"]) == {group.source}
    assert groups[0].phantom
    assert not groups[1].phantom


def test_options_that_differ_name_variants(record, tmp_path):
    records = [
        record(tmp_path, "unet", width=16, depth=4),
        record(tmp_path, "unet", width=32, depth=4),
        record(tmp_path, "vnet", width=16, depth=4),
    ]
    group = comparison_groups(records, pd.DataFrame(), pd.DataFrame())[0]
    assert [run.title for run in group.runs] == [
        "U-Net (width=16)",
        "U-Net (width=32)",
        "V-Net",
    ]


def test_runs_are_in_the_order_of_the_report(record, tmp_path):
    names = ["segformer", "deeplabv3", "unet"]
    records = [record(tmp_path, name, fold=fold) for fold in (1, 0) for name in names]
    group = comparison_groups(records, pd.DataFrame(), pd.DataFrame())[0]
    assert [(run.architecture, run.fold) for run in group.runs] == [
        ("unet", 0),
        ("unet", 1),
        ("deeplabv3", 0),
        ("deeplabv3", 1),
        ("segformer", 0),
        ("segformer", 1),
    ]


def test_unannotated_classes_are_not_scored_classes(record, tmp_path):
    records = [record(tmp_path, "unet", "camus", unannotated=("left_atrium",))]
    group = comparison_groups(records, pd.DataFrame(), pd.DataFrame())[0]
    assert group.classes == ["left_ventricle", "myocardium"]
    assert group.unannotated == ["left_atrium"]


def test_failures_are_told_in_words(record, tmp_path):
    records = [
        record(tmp_path, "unet", status="oom"),
        record(tmp_path, "vnet"),
        record(tmp_path, "vnet", seed=1, status="diverged"),
    ]
    group = comparison_groups(records, pd.DataFrame(), pd.DataFrame())[0]
    assert group.failures == ["U-Net: — (oom)", "V-Net: 1 of 2 runs — (diverged)"]
