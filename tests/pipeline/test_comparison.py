"""Ratios of cases that took turns: figures and words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgestill.deploy.measurement import Measurement
from edgestill.pipeline.comparison import (
    ONE_ROUND,
    UNREAD,
    across_modes,
    compared,
)

from .profiles import measurement


def test_what_slows_a_whole_round_cancels() -> None:
    weather = np.array([1.0, 3.0, 1.5, 2.0, 1.0])

    latency, *_ = compared(measurement("b", 0.5 * weather), measurement("a", weather))

    assert latency.ratio == pytest.approx(0.5)
    assert (latency.low, latency.high) == pytest.approx((0.5, 0.5))
    assert latency.rounds == 5


def test_faster_slower_and_undecided_are_said_in_words() -> None:
    noise = np.array([0.98, 1.0, 1.02, 0.99, 1.01])
    base = measurement("a", [1.0] * 5)

    faster, slower, undecided = (
        next(compared(measurement("b", factor * noise), base)).verdict for factor in (0.5, 2, 1)
    )

    assert faster == "2.00x faster [1.96, 2.04], n = 5 rounds"
    assert slower == "2.00x slower [1.96, 2.04], n = 5 rounds"
    assert undecided == "cannot tell: [0.98, 1.02] contains 1, n = 5 rounds"


def test_energy_is_compared_where_both_have_it() -> None:
    base = measurement("a", [1.0] * 3, rounds_mj=[8.0, 8.1, 7.9])
    own = measurement("b", [1.0] * 3, rounds_mj=[4.0, 4.1, 3.9])

    latency, energy = compared(own, base)

    assert (latency.figure, energy.figure) == ("latency", "energy")
    assert energy.verdict.startswith("2.00x less energy [")
    assert [each.figure for each in compared(measurement("c", [1.0] * 3), base)] == ["latency"]


def test_one_round_gives_a_ratio_without_an_interval() -> None:
    latency, *_ = compared(measurement("b", [0.5]), measurement("a", [1.0]))

    assert (latency.low, latency.high, latency.why_no_interval) == (None, None, ONE_ROUND)
    assert latency.verdict == "2.00x faster, no interval: one round; --rounds 7 gives one"


def test_rounds_that_a_cut_fell_into_are_no_pairs() -> None:
    own, base = measurement("b", [0.5] * 4), measurement("a", [1.0] * 4)
    first = replace(own.slices[0], earlier=True)  # its partner was measured after the cut
    both = replace(own, slices=(first, *own.slices[1:]))

    latency, *_ = compared(both, base)

    assert latency.rounds == 3


def test_energy_that_a_meter_missed_in_a_round_has_no_interval() -> None:
    own = measurement("b", [1.0] * 3, rounds_mj=[4.0, 4.1, 3.9])
    lost = replace(own, slices=(replace(own.slices[0], energy_mj=None), *own.slices[1:]))

    _, energy = compared(lost, measurement("a", [1.0] * 3, rounds_mj=[8.0] * 3))

    assert (energy.low, energy.why_no_interval) == (None, UNREAD)


def test_power_modes_are_compared_without_an_interval() -> None:
    def at(mode: str, ms: float, mj: float) -> Measurement:
        return measurement("a", [ms] * 3, rounds_mj=[mj] * 3, power_mode=mode)

    latency, energy = across_modes(at("25W", 1.0, 9.0), at("15W", 1.5, 8.0))

    assert (latency.subject, latency.baseline) == ("a at 25W", "a at 15W")
    assert latency.verdict == "1.50x faster, no interval: not interleaved"
    assert energy.finding == "1.12x more energy"
    assert not latency.interleaved


def test_the_json_has_figures_and_words() -> None:
    told = next(compared(measurement("b", [0.5, 0.5]), measurement("a", [1.0, 1.0]))).to_json()

    assert told["ratio"] == pytest.approx(0.5)
    assert {"low", "high", "rounds", "interleaved", "verdict", "power_mode"} <= set(told)
