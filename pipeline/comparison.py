"""How much faster, or less hungry, one case is than another, from rounds in which they took turns.

A round times every case once, so what slows the device for a while slows all of them. Ratios are
taken within each round; `deploy/agent/paired_ratio.py` has their mean and its interval (95 %).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..deploy.agent.paired_ratio import ratio_interval
from .wording import number

if TYPE_CHECKING:
    from ..deploy.measurement import Measurement, Slice

METHOD = (
    "ratio: geometric mean over rounds of the ratios within a round (p50, energy per inference);"
    " interval: 95 %, Student's t on their logarithms"
)
ONE_ROUND = "one round; --rounds 7 gives one"
UNREAD = "the energy of some rounds could not be read"
WORDS = {"latency": ("faster", "slower"), "energy": ("less energy", "more energy")}
NOT_INTERLEAVED = "not interleaved"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What one inference of `subject` takes, over what one of `baseline` takes."""

    figure: Literal["latency", "energy"]
    subject: str
    baseline: str
    power_mode: str | None
    """In which both were measured; None for a board without modes, or across modes."""
    ratio: float
    low: float | None
    """Of the ratio's 95 % interval; None where there is none."""
    high: float | None
    rounds: int
    """n: how many rounds have both."""
    interleaved: bool
    why_no_interval: str | None

    @property
    def verdict(self) -> str:
        """In words: "1.31x faster [1.28, 1.35], n = 7 rounds"; ratios are those of speed."""
        return f"{self.finding}, {self.basis}"

    @property
    def finding(self) -> str:
        gain = 1 / self.ratio
        more, less = WORDS[self.figure]
        if self.low is None or self.high is None:
            return f"{_times(max(gain, 1 / gain))}x {more if gain >= 1 else less}"
        if self.low <= 1 <= self.high:
            return f"cannot tell: {_interval(1 / self.high, 1 / self.low)} contains 1"
        if gain > 1:
            return f"{_times(gain)}x {more} {_interval(1 / self.high, 1 / self.low)}"
        return f"{_times(self.ratio)}x {less} {_interval(self.low, self.high)}"

    @property
    def basis(self) -> str:
        """What the finding rests on."""
        if self.why_no_interval is None:
            return f"n = {self.rounds} rounds"
        return f"no interval: {self.why_no_interval}"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def compared(subject: Measurement, baseline: Measurement) -> Iterator[Comparison]:
    """Latency, and energy where both have it, of two cases that took turns in one call."""
    rounds = list(_paired(subject.slices, baseline.slices))
    latency = [(own.p50_ms, other.p50_ms) for own, other in rounds]
    overall = subject.latency_ms["p50"] / baseline.latency_ms["p50"]
    yield _comparison("latency", subject, baseline, latency, overall)
    if subject.energy_mj and baseline.energy_mj:
        energy = [(own.energy_mj or 0.0, other.energy_mj or 0.0) for own, other in rounds]
        overall = subject.energy_mj / baseline.energy_mj
        yield _comparison("energy", subject, baseline, energy, overall)


def across_modes(subject: Measurement, baseline: Measurement) -> Iterator[Comparison]:
    """One case in two power modes: without an interval, since the modes did not take turns."""
    pairs: list[tuple[Literal["latency", "energy"], float | None, float | None]] = [
        ("latency", subject.latency_ms["p50"], baseline.latency_ms["p50"]),
        ("energy", subject.energy_mj, baseline.energy_mj),
    ]
    for figure, own, other in pairs:
        if own and other:
            yield Comparison(
                figure=figure,
                subject=f"{subject.label} at {subject.power_mode}",
                baseline=f"{baseline.label} at {baseline.power_mode}",
                power_mode=None,
                ratio=own / other,
                low=None,
                high=None,
                rounds=0,
                interleaved=False,
                why_no_interval=NOT_INTERLEAVED,
            )


def _paired(first: Sequence[Slice], second: Sequence[Slice]) -> Iterator[tuple[Slice, Slice]]:
    """The slices of the same round; not those of which a cut fell in between."""
    others = {(each.round, each.earlier): each for each in second}
    for own in first:
        if (own.round, own.earlier) in others:
            yield own, others[own.round, own.earlier]


def _comparison(
    figure: Literal["latency", "energy"],
    subject: Measurement,
    baseline: Measurement,
    pairs: Sequence[tuple[float, float]],
    overall: float,
) -> Comparison:
    low = high = why = None
    if len(pairs) < 2:
        why = ONE_ROUND
    elif any(value <= 0 for pair in pairs for value in pair):
        why = UNREAD
    else:
        overall, low, high = ratio_interval(pairs)
    return Comparison(
        figure=figure,
        subject=subject.label,
        baseline=baseline.label,
        power_mode=subject.power_mode,
        ratio=overall,
        low=low,
        high=high,
        rounds=len(pairs),
        interleaved=True,
        why_no_interval=why,
    )


def _interval(low: float, high: float) -> str:
    digits = 2 if high - low >= 0.02 else 3
    return f"[{_times(low, digits)}, {_times(high, digits)}]"


def _times(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if value < 9.95 else number(value)
