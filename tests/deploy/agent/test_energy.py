"""Energy of windows from a counter that is known to the microjoule; or null, with the reason."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.agent.energy import Energy, find_meter
from edgestill.deploy.agent.errors import Unmeasurable

AddPackage: TypeAlias = Callable[..., Path]
FakeBoard: TypeAlias = Callable[..., Path]


def idle(energy: Energy, simulation: Any) -> None:
    energy.measure_idle(1.0, simulation.sleep, lambda seconds: None)


def window(energy: Energy, simulation: Any, runs: int = 100) -> dict[str, Any] | None:
    energy.begin(simulation.now_ns)
    for _ in range(runs):  # 10 ms each
        simulation.run()
    return energy.end(simulation.now_ns)


def test_a_window_has_what_the_counter_gained_in_it(
    tmp_path: Path, add_package: AddPackage, simulation: Any
) -> None:
    simulation.counter = add_package(energy_uj=900_000)  # wraps during the idle second
    simulation.idle_uw, simulation.run_uj = 200_000, 4_000
    energy = Energy(tmp_path / "root", clock_ns=simulation.clock_ns)

    idle(energy, simulation)
    used = window(energy, simulation)

    assert used is not None
    assert used["used_mj"] == pytest.approx(400.0)
    assert energy.summary() == {
        "readable": True,
        "source": "RAPL package-0 (CPU packages only)",
        "rule": None,
        "idle_power_mw": pytest.approx(200.0),
        "idle_samples": 1000,
    }
    assert energy.trace(0) is None


def test_without_a_counter_all_is_null_and_the_reason_stands(
    tmp_path: Path, simulation: Any
) -> None:
    energy = Energy(tmp_path, clock_ns=simulation.clock_ns)

    idle(energy, simulation)

    assert simulation.now_ns == 1_000  # and no second was spent on an idle baseline
    assert window(energy, simulation) is None
    found = energy.summary()
    assert (found["readable"], found["idle_power_mw"]) == (False, None)
    # Each kind of meter gives its own reason.
    for reason in ("no power rail", "no tegrastats", "no RAPL package"):
        assert reason in found["source"]


def test_the_work_of_a_gpu_is_not_metered_by_the_cpus_counter(
    tmp_path: Path, add_package: AddPackage
) -> None:
    add_package()

    with pytest.raises(Unmeasurable, match="NVIDIA GPU"):
        find_meter(tmp_path / "root", workers={"gpu"})


def test_work_of_cpu_and_gpu_by_turns_has_no_counter_that_sees_both(
    tmp_path: Path, add_package: AddPackage
) -> None:
    add_package()

    with pytest.raises(Unmeasurable, match="measure their cases apart"):
        find_meter(tmp_path / "root", workers={"cpu", "gpu"})


def test_a_counter_lost_on_the_way_leaves_null_and_the_reason(
    tmp_path: Path, add_package: AddPackage, simulation: Any
) -> None:
    simulation.counter = counter = add_package()
    simulation.idle_uw = 200_000
    energy = Energy(tmp_path / "root", clock_ns=simulation.clock_ns)

    idle(energy, simulation)
    energy.begin(simulation.now_ns)
    counter.unlink()
    energy.tick()

    assert energy.end(simulation.now_ns + 1_000_000_000) is None
    found = energy.summary()
    assert (found["readable"], found["rule"]) == (False, None)
    assert found["source"] == "RAPL: intel-rapl:0/energy_uj: No such file or directory"
    assert found["idle_power_mw"] == pytest.approx(200)  # that was measured


def test_a_window_that_failed_costs_itself_and_no_other(
    tmp_path: Path, add_package: AddPackage, simulation: Any
) -> None:
    simulation.counter = counter = add_package()
    simulation.run_uj = 4_000
    energy = Energy(tmp_path / "root", clock_ns=simulation.clock_ns)

    first = window(energy, simulation)
    energy.begin(simulation.now_ns)
    counter.write_text("many\n")
    energy.tick()
    counter.write_text("0\n")
    second = energy.end(simulation.now_ns + 1_000_000_000)
    third = window(energy, simulation)

    assert second is None
    assert first is not None
    assert third is not None
    assert third["used_mj"] == pytest.approx(400.0)
    found = energy.summary()
    assert found["readable"]
    assert found["source"] == (
        "RAPL package-0 (CPU packages only);"
        " not in 1 of 3 windows: RAPL: intel-rapl:0/energy_uj holds 'many', no number"
    )


def test_an_idle_baseline_that_failed_costs_no_window(
    tmp_path: Path, add_package: AddPackage, simulation: Any
) -> None:
    simulation.counter = add_package()
    simulation.run_uj = 4_000  # and nothing while idle: the counter stands still
    energy = Energy(tmp_path / "root", clock_ns=simulation.clock_ns)

    idle(energy, simulation)

    assert window(energy, simulation) is not None
    found = energy.summary()
    assert (found["readable"], found["idle_power_mw"], found["idle_samples"]) == (True, None, 0)
    assert found["source"].endswith("; no idle power: RAPL: the counters are there and do not move")


def test_rails_that_tell_no_power_are_no_energy_of_nought(fake_board: FakeBoard) -> None:
    root = fake_board("orin-nano-super")
    for node in (root / "sys").rglob("curr*_input"):
        node.write_text("0\n")
    energy = Energy(root)
    start = time.perf_counter_ns()
    energy.begin(start)
    time.sleep(0.8)

    assert energy.end(time.perf_counter_ns()) is None

    energy.close()
    assert re.search(r"power rails VDD_IN .*: 0 mJ in 0\.\d+ s", energy.summary()["source"])


def test_looking_for_a_meter_starts_nothing(fake_board: FakeBoard) -> None:
    before = threading.active_count()

    meter = find_meter(fake_board("orin-nano-super"))

    assert threading.active_count() == before
    meter.close()


def test_a_window_too_short_for_the_counter_gives_null(
    tmp_path: Path, add_package: AddPackage, simulation: Any
) -> None:
    simulation.counter = add_package()
    simulation.idle_uw, simulation.run_uj = 200_000, 4_000
    energy = Energy(tmp_path / "root", clock_ns=simulation.clock_ns)

    idle(energy, simulation)

    assert window(energy, simulation, runs=1) is None
    assert energy.summary()["source"].endswith("a window of 0.010 s is too short for it")


@pytest.mark.parametrize(
    ("board", "rule"),
    [
        ("orin-nano-super", "VDD_IN, the whole module"),
        ("nano", "POM_5V_IN, the whole module"),
        ("agx-thor", "VIN, the whole board"),
        ("agx-orin", "sum of rails, module only: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"),
    ],
)
def test_a_jetson_is_metered_by_its_rails(fake_board: FakeBoard, board: str, rule: str) -> None:
    meter = find_meter(fake_board(board))

    assert meter.rule is not None
    assert meter.rule.startswith(rule)
    assert meter.source.startswith("power rails")
    meter.close()


def test_the_library_of_discrete_gpus_is_never_asked_on_a_jetson(fake_board: FakeBoard) -> None:
    root = fake_board("orin-nano-super")
    for node in (root / "sys").rglob("curr*_input"):
        node.unlink()
    (root / "usr/bin/tegrastats").unlink()

    with pytest.raises(Unmeasurable, match="NVML is not asked on a Jetson"):
        find_meter(root, workers={"gpu"})
