"""The whole job on phantoms, in its smallest profile: files to records, MLflow and report."""

from __future__ import annotations

import json
import re
import shutil

import pandas as pd
import pytest

from benchmark.experiment.spec import RunSpec
from benchmark.records import read_record, read_records

TIMED = ["compile_s", "train_s", "evaluate_s", "total_s", "step_ms_p50", "step_ms_p99",
         "samples_per_s", "inference_ms_p50", "peak_rss_mib"]  # fmt: skip
REQUIRED = ["run", "architecture", "dataset", "source", "fold", "seed", "case", "patient", "class",
            "dice", "iou"]  # fmt: skip


def test_ends_well_and_shows_the_leaderboard(suite):
    assert suite.first.returncode == 0, suite.first.stdout + suite.first.stderr
    assert "profile smoke" in suite.first.stdout
    assert "[3/3]" in suite.first.stdout
    assert "warning" not in suite.first.stdout
    assert "Traceback" not in suite.first.stderr


def test_records_are_complete(suite):
    records = read_records(suite.results)
    assert len(records) == 3
    for record in records:
        assert record["status"] == "ok"
        assert record["spec"]["source"] == "phantom"
        assert 0 <= record["summary"]["dice"] <= 1
        assert record["params"] > 1000
        timing = record["timing"]
        assert all(timing[name] > 0 for name in TIMED), timing
        assert record["environment"]["versions"]["keras"].startswith("3.")
        device = record["environment"]["device"]
        assert device["jit_compile"] is (device["kind"] == "gpu")
        sides = [set(record["split"][side]) for side in ("train", "validation", "test")]
        assert all(sides)
        assert sum(map(len, sides)) == len(set.union(*sides))  # no patient on two sides
        assert set(record["postprocessing"]["classes"]) == set(record["classes"])
        assert (record["path"] / "log.txt").exists()
        epochs = pd.read_csv(record["path"] / "epochs.csv")
        assert len(epochs) == record["spec"]["protocol"]["epochs"]


def test_cases_have_a_row_per_case_and_class(suite):
    for record in read_records(suite.results):
        cases = pd.read_csv(record["path"] / "cases.csv")
        assert set(REQUIRED) <= set(cases.columns)
        assert (cases["source"] == "phantom").all()
        assert not cases.duplicated(["case", "class"]).any()
        assert set(cases["patient"]) == set(record["split"]["test"])
        regions = ["epicardium"] if record["spec"]["dataset"] == "camus" else []
        assert set(cases["class"]) == {*record["classes"], *regions}
        assert len(cases) == cases["case"].nunique() * cases["class"].nunique()
        for case in cases["case"].unique():
            assert (record["path"] / "predictions" / f"{case}.nii.gz").exists()
            assert (record["path"] / "slices" / f"{case}.npz").exists()


def test_clinical_endpoints_reach_the_record_the_report_and_the_terminal(suite):
    for record in read_records(suite.results):
        clinical = pd.read_csv(record["path"] / "clinical.csv", dtype={"patient": str})
        assert set(clinical["patient"]) == set(record["split"]["test"])
        assert set(clinical["endpoint"]) >= {"lv_edv", "lv_esv", "lv_ef"}
        assert clinical["truth"].notna().all()
        assert (clinical["prediction"].isna() == clinical["reason"].notna()).all()
    report = suite.results / "report"
    frame = pd.read_csv(report / "clinical.csv")
    assert set(frame["architecture"]) == {"unet", "vnet"}
    assert set(frame["dataset"]) == {"acdc", "camus"}
    assert "LV EF (%)" in (report / "clinical.md").read_text(encoding="utf-8")
    assert "LV EF (\\%)" in (report / "clinical.tex").read_text(encoding="utf-8")
    assert "Clinical agreement: prediction minus reference" in suite.first.stdout


def test_summary_can_be_derived_from_the_cases(suite):
    for record in read_records(suite.results):
        cases = pd.read_csv(record["path"] / "cases.csv")
        scored = cases[(cases["outcome"] != "both_empty") & (cases["kind"] == "class")]
        for metric in ("dice", "iou"):
            expected = scored.groupby("case")[metric].mean().mean()
            assert record["summary"][metric] == pytest.approx(expected)


def test_scores_can_be_derived_from_the_saved_masks(suite):
    import datasets
    from datasets import nifti

    record = read_records(suite.results)[0]
    name = record["spec"]["dataset"]
    found = datasets.find(name, suite.results / "phantoms" / "5-0")
    by_id = {case.id: case for case in datasets.read_cases(name, found.root)}
    cases = pd.read_csv(record["path"] / "cases.csv")
    for _, row in cases[cases["kind"] == "class"].iterrows():
        label = record["classes"][row["class"]]
        _, truth = nifti.read_pair(by_id[row["case"]], datasets.info(name))
        predicted = nifti.read_mask(
            record["path"] / "predictions" / f"{row['case']}.nii.gz", record["classes"].values()
        )
        one, two = truth.array == label, predicted.array == label
        assert row["dice"] == pytest.approx(2 * (one & two).sum() / (one.sum() + two.sum()))


def test_predict_and_evaluate_give_the_scores_of_the_run(suite, tmp_path):
    [release] = (suite.results / "phantoms").glob("*/ACDC")
    out = tmp_path / "out"
    done = suite.call("predict", "best:acdc/unet", str(release), "--test-only", "-o", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    done = suite.call("evaluate", str(release), str(out), "--dataset", "acdc", "--skip-missing",
                      "-o", str(tmp_path / "cases.csv"))  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = pd.read_csv(tmp_path / "cases.csv").set_index(["case", "class"])
    [record] = [record for record in read_records(suite.results)
                if record["name"].startswith("unet·acdc")]  # fmt: skip
    recorded = pd.read_csv(record["path"] / "cases.csv").set_index(["case", "class"])
    assert len(found) == len(recorded) > 0
    for column in ("dice", "iou", "hd_mm", "hd95_mm", "assd_mm", "nsd", "volume_prediction_ml"):
        gap = (found[column] - recorded[column]).abs()
        assert gap.max() <= 1e-6 or recorded[column].isna().all(), column
        assert (found[column].isna() == recorded[column].isna()).all()


def test_report_is_written_and_says_phantom(suite):
    report = suite.results / "report"
    leaderboard = pd.read_csv(report / "leaderboard.csv")
    assert set(leaderboard["source"]) == {"phantom"}
    assert len(leaderboard) == 3
    assert "phantom" in (report / "leaderboard.md").read_text()
    assert "phantom" in (report / "leaderboard.tex").read_text()
    for suffix in ("png", "svg", "pdf"):
        figures = list((report / "figures").glob(f"*.{suffix}"))
        assert len(figures) >= 9
        assert all("phantom" in figure.name for figure in figures)


def test_mlflow_has_one_parent_and_a_child_per_run(suite):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{suite.results}/mlflow.db")
    (experiment,) = (each for each in client.search_experiments() if each.name != "Default")
    assert experiment.name == "cardiac-seg/heart"
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run not in parents]
    assert (len(parents), len(children)) == (1, 3)
    assert all(run.info.status == "FINISHED" for run in runs)
    paths = {each.path for each in client.list_artifacts(parents[0].info.run_id, "report")}
    assert {"report/leaderboard.csv", "report/figures"} <= paths
    for child in children:
        record = read_record(suite.results / "runs" / child.data.tags["bench.key"])
        assert child.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert child.data.tags["bench.source"] == "phantom"
        assert child.data.tags["bench.status"] == "ok"
        assert child.data.metrics["test/dice"] == pytest.approx(record["summary"]["dice"])
        assert child.data.metrics["time/train_s"] == pytest.approx(record["timing"]["train_s"])
        assert child.data.params["protocol.epochs"] == "2"
        curve = client.get_metric_history(child.info.run_id, "val/dice")
        assert [point.step for point in curve] == [1, 2]
        contexts = {tag.value for each in child.inputs.dataset_inputs for tag in each.tags}
        assert contexts == {"training", "validation", "test"}
        names = {each.path for each in client.list_artifacts(child.info.run_id)}
        assert {"record.json", "cases.csv", "epochs.csv", "log.txt"} <= names


def test_the_best_network_of_each_dataset_is_a_model_with_a_signature(suite):
    from mlflow.models import Model
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{suite.results}/mlflow.db")
    experiment = client.get_experiment_by_name("cardiac-seg/heart").experiment_id
    models = client.search_logged_models([experiment])
    records = {record["key"]: record for record in read_records(suite.results)}
    assert len(models) == 2
    for model in models:
        chosen = records[model.tags["bench.key"]]
        rivals = [r for r in records.values() if r["protocol_hash"] == chosen["protocol_hash"]]
        dice = [rival["summary"]["validation_dice"] for rival in rivals]
        assert chosen["summary"]["validation_dice"] == max(dice)
        folder = suite.results / "mlartifacts" / "models" / model.model_id / "artifacts"
        assert model.artifact_location == folder.as_uri()
        signature = Model.load(folder).signature
        (image,), (logits,) = signature.inputs.inputs, signature.outputs.inputs
        patch = RunSpec.from_dict(chosen["spec"]).patch
        assert image.shape == (-1, *patch, 1)
        assert logits.shape == (-1, *patch, len(chosen["classes"]) + 1)


def test_second_call_runs_nothing(suite):
    before = {path: path.stat().st_mtime_ns for path in suite.results.glob("runs/*/record.json")}
    again = suite.call("run", str(suite.file), "--profile", "smoke")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Nothing to run" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_plan_knows_what_is_done(suite):
    done = suite.call("plan", str(suite.file), "--profile", "smoke", "--json")
    assert {run["state"] for run in json.loads(done.stdout)["runs"]} == {"done"}


def test_failed_run_is_a_row_an_exit_code_and_a_sentence(suite, tmp_path):
    """A broken file costs the run that needs it, and nothing else; MLflow down costs nothing."""
    results = tmp_path / "results"
    shutil.copytree(suite.results, results, ignore=shutil.ignore_patterns("mlflow*", "mlartifacts"))
    (record,) = (r for r in read_records(results) if r["spec"]["dataset"] == "camus")
    shutil.rmtree(record["path"])
    (image, *_) = sorted(results.glob("phantoms/*/CAMUS_public/*/*/*_2CH_ED.nii.gz"))
    image.write_bytes(image.read_bytes()[:2000])
    done = suite.at(results).call(
        "run", str(suite.file), "--profile", "smoke", "--only", "architecture=unet",
        # Nobody listens there. A broken SQLite store would be tried for 100 s.
        MLFLOW_TRACKING_URI="http://127.0.0.1:9", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert image.name in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.count("warning: MLflow at") == 1
    status = {r["spec"]["dataset"]: r["status"] for r in read_records(results)}
    assert status == {"acdc": "ok", "camus": "error"}
    leaderboard = pd.read_csv(results / "report" / "leaderboard.csv")
    assert sorted(leaderboard["status"]) == ["error", "ok"]


def test_a_finished_run_scored_again_is_as_recorded(suite):
    done = suite.call("evaluate", "--run", "best:acdc/unet", "--data-root", "none")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "largest difference of all scores 0" in done.stdout
    assert "as recorded" in done.stdout


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_train_is_the_matrix_of_one(suite, tmp_path):
    """The same key: its record is there, and nothing is run; the report is left alone."""
    results = tmp_path / "results"
    shutil.copytree(suite.results, results, ignore=shutil.ignore_patterns("mlflow*", "mlartifacts"))
    suite = suite.at(results)
    before = contents(results / "report")
    assert before
    asked = ("--architecture", "unet", "--dataset", "camus", "--profile", "smoke")
    done = suite.call("train", str(suite.file), *asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing to run" in done.stdout
    new = suite.call("train", str(suite.file), *asked, "--set", "protocol.epochs=1")
    assert new.returncode == 0, new.stdout + new.stderr
    assert "[1/1]" in new.stdout
    for said in (done.stdout, new.stdout):
        assert "U-Net" in said
        assert "Report: " not in said
    assert contents(results / "report") == before
    other = suite.call("train", str(suite.file), *asked, "--set", "options.filterz=2")
    assert other.returncode == 2
    assert other.stderr.startswith("error: --set options.filterz=2: ")


def test_a_report_has_the_columns_decimals_and_sizes_that_were_asked_for(suite, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(suite.results, results, ignore=shutil.ignore_patterns("mlflow*", "mlartifacts"))

    entry = results / "external" / "ours-acdc"
    entry.mkdir(parents=True)
    (entry / "record.json").write_text("{")
    (results / "mlflow.db").write_bytes(b"no store of anything" * 99)

    def report(*options):
        asked = suite.at(results).call(
            "report", str(suite.file), "--profile", "smoke", "--columns", *options
        )
        return asked, (results / "report" / "leaderboard.md").read_text(encoding="utf-8")

    done, text = report("rank,dice,parameters", "--precision", "2", "--width", "one")
    assert done.returncode == 0, done.stdout + done.stderr
    heads = {
        tuple(cell.strip() for cell in line.split("|")[1:-1])
        for line in text.splitlines()
        if line.startswith("| Architecture")
    }
    assert heads == {
        ("Architecture", "Rank", "Dice [95 % interval]"), ("Architecture", "Parameters")
    }  # fmt: skip
    rows = [line for line in text.splitlines() if re.match(r"\| (U|V)-Net .*\| +\d", line)]
    decimals = [len(number) for row in rows for number in re.findall(r"\b0\.(\d+)", row)]
    assert len(decimals) >= 3
    assert set(decimals) == {2}
    assert "decided on 3 decimals, not on the 2 printed" in text
    assert done.stdout.count(f"warning: {entry}: expected the external entry") == 1
    assert "mlflow.db: expected the store of MLflow, could not read it (file is not" in done.stdout
    every = pd.read_csv(results / "report" / "leaderboard.csv")
    pd.testing.assert_frame_equal(every, pd.read_csv(suite.results / "report" / "leaderboard.csv"))
    figures = {path.stem for path in (results / "report" / "figures").glob("*.svg")}
    assert {"cost_acdc_phantom_1col", "training_camus_phantom_1col"} <= figures
    assert "cost_acdc_phantom" not in figures

    refused, unchanged = report("rank,dise")
    assert refused.returncode == 2
    assert "received 'dise'. Did you mean 'dice'?" in refused.stderr
    assert unchanged == text
