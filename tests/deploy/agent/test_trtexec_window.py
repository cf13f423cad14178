"""Which queries count: those that lie in the window, and those that have settled."""

from __future__ import annotations

import random

import pytest

from edgestill.deploy.agent.trtexec_output import Query
from edgestill.deploy.agent.trtexec_window import inside, sample_ns, settling


def queries(*latencies_ms: float, gap_ms: float = 0.5, start_ms: float = 0.0) -> list[Query]:
    """One after the other, with a gap between."""
    found = []
    for latency in latencies_ms:
        end_ms = start_ms + latency
        found.append(Query(start_ms, start_ms, end_ms, latency, 0.0, latency, 0.0, 0.1))
        start_ms = end_ms + gap_ms
    return found


def test_queries_from_before_the_window_are_left_out() -> None:
    timed = queries(2, 2, 2, 2, 2)  # they begin at 0, 2.5, 5, 7.5 and 10, and end at 12

    assert inside(timed, 12_000_000) == timed
    assert inside(timed, 8_000_000) == timed[2:]  # it opened at 4
    assert inside(timed, 1_000_000) == []


def test_no_query_is_in_no_window() -> None:
    assert inside([], 1_000_000) == []


def test_what_is_kept_never_is_longer_than_the_window() -> None:
    chance = random.Random(0)
    for _ in range(200):
        start_ms = chance.choice((0.0, 1e3, 1e5))
        exact = queries(*[chance.uniform(0.1, 5) for _ in range(50)], gap_ms=0.0, start_ms=start_ms)
        rounded = [
            Query(
                float(f"{query.start_ms:.6g}"),
                query.start_compute_ms,
                float(f"{query.end_ms:.6g}"),
                *(query.latency_ms, 0.0, query.compute_ms, 0.0, 0.1),
            )
            for query in exact
        ]
        window_ns = chance.randrange(1_000_000, 200_000_000)

        assert sum(sample_ns(query) for query in inside(rounded, window_ns)) <= window_ns


@pytest.mark.parametrize(
    ("latencies", "settled", "typical_ns"),
    [
        ([9.0] * 5 + [2.0] * 5, False, 2_000_000),
        ([9.0] * 5 + [2.0] * 5 + [2.05] * 5, True, 2_050_000),
        ([2.0] * 4, False, None),
        ([], False, None),
    ],
)
def test_a_warm_up_has_settled_once_two_blocks_agree(
    latencies: list[float], settled: bool, typical_ns: float | None
) -> None:
    found = settling(queries(*latencies), 0.0)

    assert found[0] is settled
    assert found[1] == (None if typical_ns is None else pytest.approx(typical_ns))


def test_a_block_lasts_a_fifth_of_the_warm_up() -> None:
    steady = queries(*[1.0] * 100, gap_ms=0.0)

    assert settling(steady, 0.25) == (True, 1_000_000)  # blocks of 50 ms
    assert settling(steady, 0.3) == (False, 1_000_000)  # of 60 ms: only one is full
