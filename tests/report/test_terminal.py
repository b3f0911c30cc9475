import io
import subprocess
import sys

from rich.console import Console

from benchmark.report.terminal import clock, leaderboard_table


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
    console.print(leaderboard_table(records, cases))
    lines = console.export_text().splitlines()
    assert any("phantom" in line and "U-Net" in line and "…" not in line for line in lines)
    assert any("V-Net" in line and "— (oom)" in line for line in lines)
    assert any("real" in line and "U-Net" in line for line in lines)
    assert not any("…" in line for line in lines)
    assert "phantom: synthetic hearts, not patients" in lines[-2] + lines[-1]


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
        "from benchmark.report.figures import costs, heatmap, overlays, scores, training\n"
        "assert not (heavy | {'scipy'}) & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
