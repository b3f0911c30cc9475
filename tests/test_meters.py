"""Energy counters, on a made-up powercap tree and a made-up NVML."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmark.meters import EVERY_S, EnergyMeter, Gpu, Package, find_meter


@pytest.fixture
def powercap(tmp_path):
    """Two packages, a part of one, and the whole machine, as Linux shows them."""

    def zone(name, label, energy_uj, range_uj=262_143_328_850):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "name").write_text(f"{label}\n")
        (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
        (folder / "energy_uj").write_text(f"{energy_uj}\n")

    (tmp_path / "intel-rapl").mkdir()  # the driver itself
    zone("intel-rapl:0", "package-0", 1_000_000)
    zone("intel-rapl:0:0", "core", 7)
    zone("intel-rapl:1", "package-1", 5_000_000, range_uj=6_000_000)
    zone("intel-rapl:2", "psys", 9_000_000)
    return tmp_path


def put(powercap, name, energy_uj):
    (powercap / name / "energy_uj").write_text(f"{energy_uj}\n")


class FakeNvml:
    """What of `pynvml` the meters use: GPUs by index and by UUID, with millijoules."""

    class NVMLError(Exception):
        pass

    def __init__(self, **millijoules):
        self.millijoules = {"GPU-a": 1000, "GPU-b": 9_000_000} | millijoules

    def nvmlInit(self):
        if not self.millijoules:
            raise self.NVMLError("driver not loaded")

    def nvmlDeviceGetHandleByIndex(self, index):
        if index >= len(self.millijoules):
            raise self.NVMLError("invalid argument")
        return list(self.millijoules)[index]

    def nvmlDeviceGetHandleByUUID(self, name):
        if name not in self.millijoules:
            raise self.NVMLError("not found")
        return name

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        value = self.millijoules[handle]
        if value is None:
            raise self.NVMLError("not supported")
        return value


def test_packages_are_added_and_their_parts_are_not(powercap):
    meter = find_meter(gpus=0, powercap=powercap)
    put(powercap, "intel-rapl:0", 3_500_000)
    put(powercap, "intel-rapl:0:0", 10**9)
    put(powercap, "intel-rapl:2", 10**9)
    assert meter.joules() == {"cpu": pytest.approx(2.5)}
    put(powercap, "intel-rapl:1", 5_500_000)
    assert meter.joules() == {"cpu": pytest.approx(3.0)}


def test_a_counter_that_begins_anew_loses_nothing(powercap):
    package = Package(powercap / "intel-rapl:1")
    put(powercap, "intel-rapl:1", 250_000)
    assert package.passed_j() == pytest.approx(1.25)
    assert package.passed_j() == 0.0


def test_ticks_see_every_new_beginning(powercap):
    now = [0.0]
    meter = EnergyMeter({"cpu": [Package(powercap / "intel-rapl:1")]}, clock=lambda: now[0])
    for second in range(1, 301):  # three joules every thirty seconds, of a range of six
        now[0] = float(second)
        put(powercap, "intel-rapl:1", (5_000_000 + 100_000 * second) % 6_000_000)
        meter.tick()
    assert EVERY_S < 60
    assert meter.joules() == {"cpu": pytest.approx(30.0)}


@pytest.mark.parametrize("spoil", ["unlink", "text", "folder"])
def test_what_cannot_be_read_is_not_reported(powercap, spoil):
    file = powercap / "intel-rapl:1" / "energy_uj"
    meter = find_meter(gpus=0, powercap=powercap)
    file.unlink()
    if spoil == "text":
        file.write_text("much\n")
    elif spoil == "folder":
        file.mkdir()
    assert meter.joules() == {}  # one package of two is not the energy
    assert meter.joules() == {}
    assert find_meter(gpus=0, powercap=powercap).joules() == {}


def test_without_powercap_there_is_no_meter(tmp_path):
    assert find_meter(gpus=0, powercap=tmp_path / "none").joules() == {}


@pytest.mark.parametrize(
    ("gpus", "visible", "expected"),
    [(1, None, 0.5), (2, None, 2.0), (1, "1", 1.5), (1, "GPU-b", 1.5), (1, "1,0", 1.5)],
)
def test_the_gpus_that_are_used_are_counted(tmp_path, gpus, visible, expected):
    library = FakeNvml()
    meter = find_meter(gpus=gpus, powercap=tmp_path, library=library, visible=visible)
    library.millijoules["GPU-a"] += 500
    library.millijoules["GPU-b"] += 1500
    assert meter.joules() == {"gpu": pytest.approx(expected)}


def test_processor_and_gpu_stand_apart(powercap):
    library = FakeNvml()
    meter = find_meter(gpus=1, powercap=powercap, library=library)
    library.millijoules["GPU-a"] += 2000
    put(powercap, "intel-rapl:0", 1_500_000)
    assert meter.joules() == {"cpu": pytest.approx(0.5), "gpu": pytest.approx(2.0)}
    library.millijoules["GPU-a"] = None
    assert meter.joules() == {"cpu": pytest.approx(0.5)}


@pytest.mark.parametrize("visible", ["7", "GPU-x", "MIG-1", ""])
def test_gpus_without_a_counter_are_not_metered(tmp_path, visible):
    library = FakeNvml(**{"MIG-1": None})
    found = find_meter(gpus=1, powercap=tmp_path, library=library, visible=visible)
    assert found.joules() == {}


def test_a_driver_that_was_loaded_anew_begins_at_zero():
    library = FakeNvml()
    gpu = Gpu(library, "GPU-a")
    library.millijoules["GPU-a"] = 250
    assert gpu.passed_j() == pytest.approx(0.25)


def test_this_machine_is_asked_without_harm():
    """Whatever meters there are: the call answers, and loads no framework."""
    code = (
        "import sys\n"
        "from benchmark.meters import find_meter\n"
        "found = find_meter(gpus=1).joules()\n"
        "assert all(joules >= 0 for joules in found.values()), found\n"
        "assert not {'keras', 'tensorflow', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
