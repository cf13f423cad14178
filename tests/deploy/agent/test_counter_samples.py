"""A counter between two instants, from readings that lie elsewhere, on a clock that is set."""

from __future__ import annotations

import time

import pytest

from edgestill.deploy.agent.counter_samples import CounterSamples
from edgestill.deploy.agent.errors import Unmeasurable

SECOND = 1_000_000_000


class Machine:
    """A clock, and a counter that is read on it."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.energy_mj = 0.0
        self.samples = CounterSamples(
            lambda: self.energy_mj, lambda: self.now_ns, "counter", update_s=0.001
        )

    def read(self, seconds: float, energy_mj: float) -> None:
        self.now_ns, self.energy_mj = round(seconds * SECOND), energy_mj
        self.samples.take()


def test_what_is_used_before_and_behind_the_window_is_not_in_it() -> None:
    machine = Machine()
    for seconds, energy_mj in ((0.0, 0), (0.9, 90), (1.1, 290), (2.0, 1190), (2.2, 1230), (9, 9e6)):
        machine.read(seconds, energy_mj)

    found = machine.samples.between(SECOND, 2_100_000_000)

    assert found.used_mj == pytest.approx(1210 - 190)  # halfway between readings at both edges
    assert found.samples == 1100
    # 1 W before and behind the first edge; at the last, 200 mW are less than the mean.
    mean_mw = 1020 / 1.1
    assert found.bound_mj == pytest.approx(0.101 * 1000 + 0.101 * mean_mw)


def test_of_two_readings_at_one_instant_the_later_counts() -> None:
    machine = Machine()
    for seconds, energy_mj in ((0.0, 5), (0.0, 7), (1.0, 20), (1.0, 27)):
        machine.read(seconds, energy_mj)

    assert machine.samples.between(0, SECOND).used_mj == 20


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        ((0.5, 1.5), "no reading before an edge"),
        ((1.0, 5.5), "no reading behind an edge"),
        ((1.0, 3.0), r"read 1\.00 s from an edge"),
    ],
)
def test_an_edge_far_from_every_reading_is_refused(edges: tuple[float, float], found: str) -> None:
    machine = Machine()
    for seconds, energy_mj in ((1.0, 0), (2.0, 100), (5.0, 400)):
        machine.read(seconds, energy_mj)

    with pytest.raises(Unmeasurable, match=f"counter: {found}"):
        machine.samples.between(*(round(edge * SECOND) for edge in edges))


def test_the_thread_reads_by_itself_and_goes_on_after_a_reading_that_failed() -> None:
    read: list[int] = []

    def energy_mj() -> float:
        read.append(time.perf_counter_ns())
        if len(read) == 2:
            raise Unmeasurable("not now")
        return read[-1] / 1e6  # 1 W

    samples = CounterSamples(energy_mj, time.perf_counter_ns, "counter", update_s=0.001)
    samples.take()
    samples.start()
    while len(read) < 6:
        time.sleep(0.01)
    samples.close()
    done = len(read)

    found = samples.between(read[0] + 10_000_000, read[4])

    assert found.used_mj == pytest.approx((read[4] - read[0]) / 1e6 - 10, abs=found.bound_mj)
    time.sleep(0.2)
    assert len(read) == done
