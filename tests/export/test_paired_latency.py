"""How often a paired latency is judged wrongly, on machines that are simulated round by round."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from edgestill.export.paired_latency import Estimate, Paired, Round, paired_latency

LIMIT, CONFIDENCE = 1.05, 0.95


class Machine:
    """Rounds of a model `true` times as slow as its baseline; each takes a second."""

    def __init__(
        self,
        true: float,
        noise: Callable[[], float],
        *,
        control: float = 1.0,
        candidate_ms: float = 2.0,
    ) -> None:
        self.true, self.noise, self.control, self.candidate_ms = true, noise, control, candidate_ms
        self.now_s = 0.0

    def round(self) -> Round:
        self.now_s += 1
        return Round(
            log_ratio=math.log(self.true) + self.noise(),
            log_control=math.log(self.control) + self.noise(),
            baseline_ms=1.0,
            candidate_ms=self.candidate_ms * math.exp(self.noise()),
        )

    def judge(self, *, seconds: float = 40.0, max_ms: float | None = None) -> Paired:
        return paired_latency(
            self.round,
            max_ratio=LIMIT,
            max_ms=max_ms,
            seconds=seconds,
            confidence=CONFIDENCE,
            clock_s=lambda: self.now_s,
        )


KINDS: dict[str, Callable[[np.random.Generator], Callable[[], float]]] = {
    "normal": lambda chance: lambda: float(chance.normal(0, 0.02)),
    "now and then far off": lambda chance: lambda: float(0.01 * chance.standard_t(2)),
    "one round in ten is slow": lambda chance: (
        lambda: float(chance.normal(0, 0.01) + (chance.random() < 0.1) * chance.normal(0, 0.3))
    ),
}


def judged(kind: str, true: float, count: int) -> Counter[str]:
    chance = np.random.default_rng(0)
    verdicts: Counter[str] = Counter()
    for _ in range(count):
        found = Machine(true, KINDS[kind](chance)).judge()
        assert found.ratio is not None
        verdicts[found.ratio.against(LIMIT)] += 1
    return verdicts


@pytest.mark.parametrize("kind", KINDS)
def test_at_the_limit_no_more_is_decided_than_the_confidence_allows(kind: str) -> None:
    count = 600

    verdicts = judged(kind, LIMIT, count)

    # Exactly at the limit an interval that leaves it out is wrong, on either side.
    decided = verdicts["pass"] + verdicts["fail"]
    # Were 5 % wrong in truth, more than this would be seen once in 10,000 times.
    assert decided <= stats.binom.ppf(1 - 1e-4, count, 1 - CONFIDENCE)


def test_a_look_after_every_round_would_decide_wrongly_far_more_often() -> None:
    # What the four looks are for: the same rounds, judged at 95 % after each from the fourth on.
    from edgestill.deploy.agent.paired_ratio import mean_interval

    chance = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        logs = [float(chance.normal(0, 0.02)) for _ in range(40)]
        for seen in range(4, 41):
            mean, half = mean_interval(logs[:seen], CONFIDENCE)
            if abs(mean) > half:
                wrong += 1
                break

    assert wrong > 3 * (1 - CONFIDENCE) * 200


@pytest.mark.parametrize(("true", "verdict"), [(1.0, "pass"), (1.1, "fail"), (0.5, "pass")])
def test_a_clear_difference_is_decided_early_and_rightly(true: float, verdict: str) -> None:
    chance = np.random.default_rng(1)

    found = Machine(true, KINDS["normal"](chance)).judge()

    assert found.ratio is not None
    assert found.ratio.against(LIMIT) == verdict
    assert found.seconds == 5.0  # the first look, after an eighth of the time


def test_no_look_is_taken_with_less_than_four_rounds() -> None:
    found = Machine(2.0, lambda: 0.001).judge(seconds=3.0)

    assert (found.ratio, found.control, found.candidate_ms) == (None, None, None)
    assert found.rounds == 3


def test_a_round_that_would_end_too_late_is_not_begun() -> None:
    found = Machine(LIMIT, KINDS["normal"](np.random.default_rng(3))).judge(seconds=10.5)

    assert (found.rounds, found.seconds) == (10, 10.0)


def test_a_first_round_is_timed_however_long_it_takes() -> None:
    assert Machine(1.0, lambda: 0.0).judge(seconds=0.1).rounds == 1


def test_a_baseline_that_differs_from_itself_widens_the_interval() -> None:
    chance = np.random.default_rng(4)

    calm = Machine(1.0, KINDS["normal"](chance)).judge()
    disturbed = Machine(1.0, KINDS["normal"](chance), control=1.08).judge()

    assert calm.ratio is not None
    assert calm.ratio.against(LIMIT) == "pass"
    assert not calm.disturbed
    assert disturbed.ratio is not None
    assert disturbed.ratio.against(LIMIT) == "undecided"
    assert disturbed.disturbed
    assert disturbed.ratio.high > 1.08


def test_it_goes_on_until_the_time_is_decided_too() -> None:
    def run(max_ms: float) -> Paired:
        chance = np.random.default_rng(5)
        return Machine(0.5, KINDS["normal"](chance), candidate_ms=2.0).judge(max_ms=max_ms)

    far, near = run(3.0), run(2.005)

    assert far.rounds == 5
    assert near.rounds == 40
    assert far.candidate_ms is not None
    assert far.candidate_ms.against(3.0) == "pass"


def test_medians_are_of_the_rounds() -> None:
    found = Machine(1.0, lambda: 0.0, candidate_ms=2.0).judge()

    assert found.p50_ms == (1.0, 2.0)


def test_an_estimate_in_words_has_as_many_digits_as_it_tells() -> None:
    assert str(Estimate(value=1.04, low=1.0123, high=1.0812)) == "1.04 [1.01, 1.08]"
    assert str(Estimate(value=1.04, low=1.0391, high=1.0412)) == "1.040 [1.039, 1.041]"
    assert str(Estimate(value=0.0212, low=0.0211, high=0.0213)) == "0.0212 [0.0211, 0.0213]"
