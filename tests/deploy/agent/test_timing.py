"""The loops by a clock that stands still unless the model runs."""

from __future__ import annotations

import gc
from typing import Any

from edgestill.deploy.agent.timing import timed_window, warm_up


def ignore(runs: int, seconds: float) -> None:
    pass


def window(simulation: Any, **changes: Any) -> Any:
    settings = {"seconds": 1.0, "min_runs": 10, "max_seconds": 60.0} | changes
    return timed_window(
        simulation.run, simulation.clock_ns, begin=lambda start_ns: None, tick=ignore, **settings
    )


def test_the_window_is_lengthened_until_it_holds_the_runs(simulation: Any) -> None:
    found = window(simulation, seconds=0.1, min_runs=200)

    assert found.samples_ns == [10_000_000] * 200
    assert found.seconds == 2.0


def test_the_window_is_lengthened_until_the_time_is_over(simulation: Any) -> None:
    found = window(simulation, seconds=3.0, min_runs=10)

    assert len(found.samples_ns) == 300


def test_the_window_ends_at_its_limit(simulation: Any) -> None:
    found = window(simulation, min_runs=10_000, max_seconds=2.0)

    assert len(found.samples_ns) == 200


def test_the_window_ends_when_memory_for_its_samples_would_grow(simulation: Any) -> None:
    simulation.run_ns = 10

    found = window(simulation)

    assert len(found.samples_ns) == 1_000_000


def test_no_garbage_is_collected_in_the_window_and_it_is_again_afterwards(simulation: Any) -> None:
    collecting = []
    simulation.on_run = lambda run: collecting.append(gc.isenabled())

    window(simulation)

    assert not any(collecting)
    assert gc.isenabled()


def test_the_meter_opens_after_the_collection_and_before_the_first_run(simulation: Any) -> None:
    opened = []

    timed_window(
        simulation.run,
        simulation.clock_ns,
        seconds=0,
        min_runs=3,
        max_seconds=1,
        begin=lambda start_ns: opened.append((start_ns, simulation.runs, gc.isenabled())),
        tick=ignore,
    )

    assert opened == [(1_000, 0, False)]


def test_ticks_come_four_times_a_second(simulation: Any) -> None:
    ticks = []

    timed_window(
        simulation.run,
        simulation.clock_ns,
        seconds=1.01,
        min_runs=1,
        max_seconds=60,
        begin=lambda start_ns: None,
        tick=lambda runs, seconds: ticks.append((runs, seconds)),
    )

    assert ticks == [(25, 0.25), (50, 0.5), (75, 0.75), (100, 1.0)]


def test_the_warm_up_ends_on_time_when_the_model_is_steady(simulation: Any) -> None:
    found = warm_up(simulation.run, simulation.clock_ns, 0.5, ignore)

    assert (found.runs, found.seconds, found.settled) == (50, 0.5, True)
    assert found.typical_ns == 10_000_000


def test_the_warm_up_goes_on_while_the_model_gets_faster(simulation: Any) -> None:
    def faster(run: int) -> None:
        simulation.run_ns = max(int(simulation.run_ns * 0.97), 5_000_000)  # 14 % in five runs

    simulation.run_ns, simulation.on_run = 20_000_000, faster

    found = warm_up(simulation.run, simulation.clock_ns, 0.5, ignore)

    assert found.settled
    assert found.typical_ns == 5_000_000


def test_the_warm_up_gives_up_on_a_model_that_never_settles(simulation: Any) -> None:
    def slower(run: int) -> None:
        simulation.run_ns = int(simulation.run_ns * 1.1)

    simulation.run_ns, simulation.on_run = 1_000_000, slower

    found = warm_up(simulation.run, simulation.clock_ns, 0.1, ignore)

    assert not found.settled
    assert 1.0 <= found.seconds < 1.2  # ten times as long, and the run in which that was reached


def test_a_warm_up_of_no_seconds_runs_nothing(simulation: Any) -> None:
    found = warm_up(simulation.run, simulation.clock_ns, 0, ignore)

    assert (found.runs, found.settled, found.typical_ns) == (0, False, None)


def test_the_window_closes_at_the_instant_at_which_the_last_run_was_complete(
    simulation: Any,
) -> None:
    found = window(simulation)

    assert found.stop_ns == simulation.now_ns
    assert found.stop_ns - found.start_ns == sum(found.samples_ns)


def test_device_time_is_asked_for_after_each_run_and_kept_apart(simulation: Any) -> None:
    found = window(simulation, device_ns=lambda: 100 * simulation.runs, seconds=0, min_runs=3)

    assert found.device_ns == [100, 200, 300]
    assert found.samples_ns == [10_000_000] * 3


def test_a_device_time_that_is_missing_once_is_missing(simulation: Any) -> None:
    found = window(
        simulation, device_ns=lambda: None if simulation.runs == 2 else 1, seconds=0, min_runs=3
    )

    assert found.device_ns is None
