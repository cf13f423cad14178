"""Energy per run from a counter that is known to the microjoule; or null, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from edgestill.deploy.agent.energy import Energy

AddPackage: TypeAlias = Callable[..., Path]
FIGURES = ("energy_mj", "above_idle_mj", "power_mw", "idle_power_mw")


def idle(energy: Energy, simulation: Any) -> None:
    energy.measure_idle(1.0, simulation.clock_ns, simulation.sleep, lambda seconds: None)


def test_energy_per_run_is_the_window_over_its_runs(
    tmp_path: Path, add_package: AddPackage, simulation: Any
) -> None:
    simulation.counter = add_package(energy_uj=900_000)  # wraps during the idle second
    simulation.idle_uw, simulation.run_uj = 200_000, 4_000
    energy = Energy(tmp_path / "root")

    idle(energy, simulation)
    energy.begin()
    for _ in range(100):  # 10 ms each
        simulation.run()
    used = energy.end(runs=100, seconds=1.0)

    assert used == {
        "energy_mj": 4.0,
        "above_idle_mj": 2.0,  # 4 mJ less 10 ms at 200 mW
        "power_mw": 400.0,
        "idle_power_mw": 200.0,
        "source": "RAPL package-0 (CPU packages only)",
    }


def test_without_a_counter_every_figure_is_null_and_the_reason_stands(
    tmp_path: Path, simulation: Any
) -> None:
    energy = Energy(tmp_path)

    idle(energy, simulation)
    used = energy.end(runs=100, seconds=1.0)

    assert [used[name] for name in FIGURES] == [None] * 4
    assert used["source"].startswith("no RAPL package")
    assert simulation.now_ns == 1_000  # and no second was spent on an idle baseline


def test_a_counter_lost_on_the_way_leaves_null_and_the_reason(
    tmp_path: Path, add_package: AddPackage, simulation: Any
) -> None:
    simulation.counter = add_package()
    simulation.idle_uw = 200_000
    energy = Energy(tmp_path / "root")

    idle(energy, simulation)
    energy.begin()
    simulation.counter.unlink()
    energy.tick()
    used = energy.end(runs=100, seconds=1.0)

    assert [used[name] for name in FIGURES] == [None] * 4
    assert used["source"] == "RAPL: intel-rapl:0/energy_uj: No such file or directory"


def test_a_window_too_short_for_the_counter_gives_null(
    tmp_path: Path, add_package: AddPackage, simulation: Any
) -> None:
    simulation.counter = add_package()
    simulation.idle_uw, simulation.run_uj = 200_000, 4_000
    energy = Energy(tmp_path / "root")

    idle(energy, simulation)
    energy.begin()
    simulation.run()
    used = energy.end(runs=1, seconds=0.01)

    assert used["energy_mj"] is None
    assert used["source"].endswith("a window of 0.010 s is too short for its counters")
