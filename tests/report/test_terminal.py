import io
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
from rich.console import Console

from benchmark.report.material import gather
from benchmark.report.terminal import clinical_table, clock, leaderboard_table
from benchmark.statistics.agreement import agreement


def gathered(records, cases=None, clinical=None):
    """Material of a report that is shown and not written."""
    empty = pd.DataFrame()
    cases, clinical = (empty if one is None else one for one in (cases, clinical))
    return gather(Path(), records, cases, empty, clinical)


def test_leaderboard_in_the_terminal(record, finished, tmp_path):
    records, cases, _ = finished(
        [
            record(tmp_path, "unet", "acdc", "phantom"),
            record(tmp_path, "vnet", "acdc", "phantom", status="oom"),
            record(tmp_path, "attention_unet", "acdc", "real"),
        ],
        patients=10,
        slices=False,
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(leaderboard_table(gathered(records, cases)))
    lines = console.export_text().splitlines()
    assert any(re.search("ACDC, phantom +n = 10 patients", line) for line in lines)
    assert any(re.search("ACDC, real +n = 10 patients", line) for line in lines)
    assert any("V-Net" in line and "— (oom)" in line for line in lines)
    assert not any("…" in line for line in lines)
    assert any("excluded/failed, ACDC, phantom: U-Net 1/1" in line for line in lines)
    assert "phantom: synthetic hearts, not patients" in lines[-2] + lines[-1]


def test_clinical_agreement_in_the_terminal(record, clinical, tmp_path):
    records = [
        record(tmp_path, "attention_unet", "acdc", "phantom"),
        record(tmp_path, "vnet", "acdc", "phantom"),
        record(tmp_path, "deeplabv3", "acdc", "phantom", status="oom"),
        record(tmp_path, "unet", "decathlon", "real"),
        record(tmp_path, "unet", "camus", "real"),
    ]
    values = clinical(records, patients=12)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(clinical_table(gathered(records, clinical=values)))
    lines = console.export_text().splitlines()
    assert not any("…" in line for line in lines)
    chosen = values[(values["dataset"] == "decathlon")]
    found = agreement(chosen["truth"], chosen["prediction"])
    line = next(line for line in lines if "LA volume" in line)
    assert f"{found.bias:+.1f} ± {1.96 * found.sd:.1f} mL {found.pearson_r:.3f} 12" in line
    assert sum("LV EF" in line for line in lines) == 3
    assert next(line for line in lines if "V-Net" in line).split()[-2:] == ["11", "1"]
    assert not any("DeepLabv3" in line for line in lines)


def test_one_patient_has_a_bias_but_no_spread(record, clinical, tmp_path):
    records = [record(tmp_path, "unet", "decathlon")]
    values = clinical(records, patients=1)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(clinical_table(gathered(records, clinical=values)))
    line = next(line for line in console.export_text().splitlines() if "LA volume" in line)
    bias = (values["prediction"] - values["truth"]).item()
    assert line.split()[-5:] == [f"{bias:+.1f}", "mL", "—", "1", "0"]


def test_times_as_a_clock_shows_them():
    assert [clock(value) for value in (4.6, 290, 3605, float("nan"))] == [
        "0:05",
        "4:50",
        "1:00:05",
        "—",
    ]


def test_reports_need_neither_keras_nor_mlflow():
    code = (
        "import sys, benchmark.report, benchmark.report.terminal, benchmark.report.figures\n"
        "heavy = {'matplotlib', 'seaborn', 'keras', 'tensorflow', 'mlflow', 'nibabel'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from benchmark.report.figures import agreement, costs, heatmap, overlays\n"
        "from benchmark.report.figures import scores, training\n"
        "assert not (heavy | {'scipy'}) & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_tier_rank_and_probability_fit_into_eighty_columns(record, finished, tmp_path):
    names = ("unet", "attention_unet", "vnet", "deeplabv3")
    records, cases, _ = finished([record(tmp_path, name) for name in names], slices=False)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(leaderboard_table(gathered(records, cases)))
    text = console.export_text()
    assert "…" not in text
    assert re.search(r"U-Net +1 +1 \(1\)|U-Net +1 +1 \(1–2\)", text)
    assert re.search(r"DeepLabv3 +\d +4 \(", text)
    assert "not separable from its leader" in text
