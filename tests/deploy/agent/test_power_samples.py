"""Trapezoids: exact where the power is a straight line, additive, and honest about gaps."""

from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestill.deploy.agent.errors import Unmeasurable
from edgestill.deploy.agent.power_samples import LONGEST_GAP_S, PowerSamples

MS = 1_000_000
STAMPS = st.lists(st.integers(1, 200 * MS), min_size=3, max_size=40).map(
    lambda steps: list(itertools.accumulate(steps))
)


def samples(times_ns: list[int], *powers_mw: float) -> PowerSamples:
    found = PowerSamples()
    for t_ns, power_mw in zip(times_ns, powers_mw or itertools.repeat(5000.0), strict=False):
        found.add(t_ns, {"VDD_IN": power_mw})
    return found


@given(STAMPS, st.data(), st.floats(1, 60_000))
def test_a_constant_power_gives_power_times_time(
    times: list[int], data: st.DataObject, power_mw: float
) -> None:
    start = data.draw(st.integers(times[0], times[-1] - 1), label="start")
    stop = data.draw(st.integers(start + 1, times[-1]), label="stop")

    found = samples(times, *[power_mw] * len(times)).energy(start, stop)

    assert found.rails_mj["VDD_IN"] == pytest.approx(power_mw * (stop - start) / 1e9)
    assert found.edges_mj["VDD_IN"] == pytest.approx(0)


@given(STAMPS, st.floats(-100, 100))
def test_a_power_that_rises_in_a_line_gives_its_mean_times_time(
    times: list[int], slope: float
) -> None:
    powers = [5000 + slope * t / 1e9 for t in times]
    start, stop = times[0] + 1, times[-1]

    found = samples(times, *powers).energy(start, stop)

    mean = 5000 + slope * (start + stop) / 2e9
    assert found.rails_mj["VDD_IN"] == pytest.approx(mean * (stop - start) / 1e9)


@given(STAMPS, st.data())
def test_windows_that_adjoin_add_up(times: list[int], data: st.DataObject) -> None:
    powers = data.draw(
        st.lists(st.floats(0, 20_000), min_size=len(times), max_size=len(times)), label="powers"
    )
    middle = data.draw(st.integers(times[0] + 1, times[-1] - 1), label="middle")
    read = samples(times, *powers)

    whole = read.energy(times[0], times[-1]).rails_mj["VDD_IN"]
    parts = [read.energy(times[0], middle), read.energy(middle, times[-1])]

    assert sum(part.rails_mj["VDD_IN"] for part in parts) == pytest.approx(whole, abs=1e-9)


def test_readings_beyond_those_around_a_window_do_not_matter() -> None:
    window = (150 * MS, 250 * MS)
    near = samples([100 * MS, 200 * MS, 300 * MS], 1.0, 2.0, 3.0).energy(*window)
    far = samples([0, 100 * MS, 200 * MS, 300 * MS, 400 * MS], 9.0, 1.0, 2.0, 3.0, 9.0)

    assert far.energy(*window) == near


def test_a_step_at_an_edge_is_told_as_doubt() -> None:
    read = samples([0, 100 * MS, 200 * MS, 300 * MS], 0.0, 4000.0, 4000.0, 4000.0)

    # Between 0 and 100 ms the power rose by 4 W, nobody knows when: half of it may be elsewhere.
    assert read.energy(50 * MS, 250 * MS).edges_mj["VDD_IN"] == pytest.approx(0.1 * 4000 / 2)


def test_the_range_is_of_the_readings_in_a_window_and_around_it() -> None:
    read = samples([0, 100 * MS, 200 * MS, 300 * MS, 400 * MS], 1000.0, 2000.0, 6000.0, 4000.0, 9e9)

    assert read.energy(150 * MS, 250 * MS).ranges_mw == {"VDD_IN": 4000.0}


def test_a_window_without_length_has_no_energy() -> None:
    with pytest.raises(Unmeasurable, match="empty"):
        samples([0, 100 * MS, 200 * MS]).energy(100 * MS, 100 * MS)


@pytest.mark.parametrize(
    ("window", "found"),
    [
        ((-1, 10 * MS), "VDD_IN was not read before the window"),
        ((10 * MS, 301 * MS), "VDD_IN was not read after the window"),
    ],
)
def test_a_window_that_is_not_covered_is_refused(window: tuple[int, int], found: str) -> None:
    with pytest.raises(Unmeasurable, match=found):
        samples([0, 100 * MS, 200 * MS, 300 * MS]).energy(*window)


def test_a_long_silence_within_a_window_is_refused() -> None:
    gap = int((LONGEST_GAP_S + 0.1) * 1e9)

    with pytest.raises(Unmeasurable, match=r"not read for 1\.6 s within"):
        samples([0, MS, MS + gap, 2 * MS + gap]).energy(0, 2 * MS + gap)


def test_each_rail_is_integrated_over_its_own_readings() -> None:
    read = PowerSamples()
    for turn in range(5):
        reading = {"VDD_IN": 5000.0, "VDD_SOC": 1000.0}
        if turn == 2:
            del reading["VDD_SOC"]  # it was busy
        read.add(turn * 100 * MS, reading)

    found = read.energy(0, 400 * MS)

    assert found.rails_mj == {"VDD_IN": pytest.approx(2000), "VDD_SOC": pytest.approx(400)}
    assert found.samples == 2
    assert read.energy(0, 400 * MS, ["VDD_IN"]).samples == 3


def test_a_rail_that_vanished_is_refused_and_the_others_are_not() -> None:
    read = samples([0, 100 * MS, 200 * MS])
    read.add(300 * MS, {"VDD_SOC": 1.0})

    with pytest.raises(Unmeasurable, match="VDD_IN was not read after"):
        read.energy(0, 250 * MS, ["VDD_IN"])
    assert read.last_ns(["VDD_IN"]) == 200 * MS


def test_readings_may_come_while_a_window_is_integrated() -> None:
    read = samples([0, 50 * MS, 100 * MS])

    def write() -> None:
        for t in range(101, 20_000):
            read.add(t * MS, {"VDD_IN": 5000.0})

    writer = threading.Thread(target=write)
    writer.start()

    found = [read.energy(10 * MS, 90 * MS).rails_mj["VDD_IN"] for _ in range(200)]

    writer.join()
    assert found == pytest.approx([400.0] * 200)
    assert read.last_ns(["VDD_IN"]) == 19_999 * MS


def test_the_trace_is_the_sum_where_all_were_read() -> None:
    read = PowerSamples()
    read.add(1000 * MS, {"GPU": 1.0, "CPU": 2.0})
    read.add(1100 * MS, {"GPU": 5.0})
    read.add(1200 * MS, {"GPU": 3.0, "CPU": 4.0})

    assert read.trace(1000 * MS, ["GPU", "CPU"]) == {"t_s": [0.0, 0.2], "mw": [3.0, 7.0]}
    assert read.trace(0, ["DLA"]) is None
