"""How many times as long a model takes as its baseline, with an interval that holds at every look.

A round times the model, the baseline and the baseline again, by turns. Rounds go on until the
interval lies on one side of the limit or the time is up. Whoever looks often sees chance pass the
limit some day; so there are four looks, after fixed shares of the time, and each has a quarter of
the error that the confidence allows (Bonferroni). All their intervals hold the true ratio at once
with at least that confidence, whichever the last one is.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..deploy.agent.paired_ratio import mean_interval

LOOKS = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Shares of the time after which the rounds so far are judged."""
FEWEST_ROUNDS = 4
"""With fewer, Student's t is 7 and more deviations wide, and chance decides on the deviation."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one inference took in one round; logarithms of ratios are taken within it."""

    log_ratio: float
    """Of the model to the baseline's two."""
    log_control: float
    """Of the baseline to itself."""
    baseline_ms: float
    """By the clock on the wall, as `candidate_ms`."""
    candidate_ms: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure and the ends of its interval."""

    value: float
    low: float
    high: float

    def against(self, limit: float) -> Literal["pass", "fail", "undecided"]:
        """pass: at most `limit`. fail: above it. undecided: the interval has it inside."""
        return "pass" if self.high <= limit else "fail" if self.low > limit else "undecided"

    def __str__(self) -> str:
        digits = 2 if self.high - self.low >= 0.02 * self.value else 3
        ends = f"[{_figure(self.low, digits)}, {_figure(self.high, digits)}]"
        return f"{_figure(self.value, digits)} {ends}"


@dataclass(frozen=True, kw_only=True)
class Paired:
    """What the rounds come to."""

    ratio: Estimate | None
    """The model's time over the baseline's; None with fewer than four rounds."""
    control: Estimate | None
    """The baseline's time over its own."""
    candidate_ms: Estimate | None
    """The model's time by the clock on the wall."""
    p50_ms: tuple[float, float] | None
    """Medians over the rounds of the baseline's and the model's time."""
    rounds: int
    seconds: float

    @property
    def disturbed(self) -> bool:
        """The baseline differs from itself by more than chance."""
        return self.control is not None and not self.control.low <= 1 <= self.control.high


def paired_latency(
    time_round: Callable[[], Round],
    *,
    max_ratio: float,
    max_ms: float | None = None,
    seconds: float,
    confidence: float,
    clock_s: Callable[[], float] = time.monotonic,
) -> Paired:
    """Times rounds until both limits are decided; at most `seconds`, but for a first round.

    With `confidence`, neither the ratio's nor the time's interval leaves out the true value at any
    look; each on its own.
    """
    begun = clock_s()
    rounds: list[Round] = []
    looks = [share * seconds for share in LOOKS]
    longest = 0.0
    while True:
        start = clock_s()
        rounds.append(time_round())
        now = clock_s()
        longest = max(longest, now - start)
        gone = now - begun
        over = gone + longest > seconds
        if gone < looks[0] and not over:
            continue
        while len(looks) > 1 and gone >= looks[0]:
            looks.pop(0)
        found = _paired(rounds, gone, 1 - (1 - confidence) / len(LOOKS))
        if over or _decided(found, max_ratio, max_ms):
            return found


def _decided(found: Paired, max_ratio: float, max_ms: float | None) -> bool:
    if found.ratio is None or found.candidate_ms is None:
        return False
    verdicts = [found.ratio.against(max_ratio)]
    verdicts += [] if max_ms is None else [found.candidate_ms.against(max_ms)]
    return "undecided" not in verdicts


def _paired(rounds: Sequence[Round], seconds: float, inside: float) -> Paired:
    """Summary of `rounds`; `inside` is the share of intervals that hold the true value."""
    if len(rounds) < FEWEST_ROUNDS:
        return Paired(
            ratio=None,
            control=None,
            candidate_ms=None,
            p50_ms=None,
            rounds=len(rounds),
            seconds=seconds,
        )
    control = _estimate([each.log_control for each in rounds], inside)
    # What makes the baseline differ from itself may act on the model as well, either way.
    more = 0.0 if control.low <= 1 <= control.high else abs(math.log(control.value))
    return Paired(
        ratio=_estimate([each.log_ratio for each in rounds], inside, more),
        control=control,
        candidate_ms=_estimate([math.log(each.candidate_ms) for each in rounds], inside),
        p50_ms=(
            statistics.median(each.baseline_ms for each in rounds),
            statistics.median(each.candidate_ms for each in rounds),
        ),
        rounds=len(rounds),
        seconds=seconds,
    )


def _estimate(logs: Sequence[float], inside: float, more: float = 0.0) -> Estimate:
    """The geometric mean; `more` widens its interval, as a logarithm."""
    mean, half = mean_interval(logs, inside)
    half += more
    return Estimate(value=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half))


def _figure(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if value >= 0.1 else f"{value:.{digits}g}"
