"""What windows come to: figures over all of them, energy only where each of them has it."""

from __future__ import annotations

from typing import Any

import pytest

from edgestill.deploy.agent.slices import figures, slice_of
from edgestill.deploy.agent.timing import Window


def taken(samples_ms: list[int], used_mj: float | None = None, **changes: Any) -> dict[str, Any]:
    samples = [1_000_000 * ms for ms in samples_ms]
    window = Window(samples, None, start_ns=0, stop_ns=sum(samples))
    read = {
        "used_mj": used_mj,
        "samples": 4,
        "bound_mj": 1.0,
        "rails_mj": {"VDD_IN": used_mj},
        "idle_mj": 10.0,
    }
    return slice_of(0, 0, window, 0, None if used_mj is None else {**read, **changes})


def test_a_slice_lies_on_the_axis_of_its_measurement() -> None:
    window = Window([5], [3], start_ns=2_000_000_000, stop_ns=2_500_000_000)

    found = slice_of(1, 2, window, 1_000_000_000, None)

    assert (found["case"], found["round"]) == (1, 2)
    assert (found["start_s"], found["stop_s"]) == (1.0, 1.5)
    assert (found["samples_ns"], found["device_ns"]) == ([5], [3])


def test_latency_is_that_of_all_windows_together() -> None:
    found = figures([taken([1, 1, 1]), taken([3, 3, 3])], batch=2)

    assert found["runs"] == 6
    assert found["window_s"] == 0.012
    assert found["latency_ms"]["p50"] == 2.0
    assert found["throughput_per_s"] == pytest.approx(2 * 6 / 0.012)
    assert found["drift"] == 2.0


def test_energy_is_all_that_was_used_over_all_runs() -> None:
    found = figures([taken([1, 1], used_mj=30.0), taken([1, 1], used_mj=50.0)], batch=1)["energy"]

    assert found["energy_mj"] == 20.0
    assert found["above_idle_mj"] == 15.0
    assert found["bound_mj"] == 0.5
    assert found["power_mw"] == pytest.approx(80.0 / 0.004)
    assert found["samples"] == 8
    assert found["rails_mj"] == {"VDD_IN": 20.0}


def test_one_window_without_energy_leaves_none() -> None:
    assert figures([taken([1], used_mj=3.0), taken([1])], batch=1)["energy"] is None


def test_without_an_idle_baseline_only_the_energy_above_it_is_null() -> None:
    found = figures([taken([1], used_mj=3.0, idle_mj=None)], batch=1)["energy"]

    assert (found["energy_mj"], found["above_idle_mj"]) == (3.0, None)


def test_a_rail_that_vanished_in_one_window_is_left_out() -> None:
    whole = taken([1], used_mj=3.0, rails_mj={"VDD_IN": 2.0, "VDD_SOC": 1.0})
    partly = taken([1], used_mj=3.0, rails_mj={"VDD_IN": 2.0})

    assert figures([whole, partly], batch=1)["energy"]["rails_mj"] == {"VDD_IN": 2.0}
