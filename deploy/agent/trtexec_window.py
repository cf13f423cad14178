"""Which of trtexec's queries count, and whether they have settled."""

from __future__ import annotations

from typing import Sequence

from .stats import median_ns
from .timing import BLOCK_RUNS, SETTLED
from .trtexec_output import Query


def inside(queries: Sequence[Query], window_ns: int) -> list[Query]:
    """Those that began in a window of this length, which closed once the last was complete.

    trtexec's clock is tied to ours by that end, read a moment late; so none that is kept can be
    longer than the window has room for, one after the other.
    """
    if not queries:
        return []
    opened_ms = queries[-1].end_ms - window_ns / 1e6
    kept = [query for query in queries if query.start_ms >= opened_ms]
    # Instants are rounded to six digits, durations are not: these have the last word.
    spent_ns = sum(sample_ns(query) for query in kept)
    first = 0
    while spent_ns > window_ns:
        spent_ns -= sample_ns(kept[first])
        first += 1
    return kept[first:]


def settling(queries: Sequence[Query], seconds: float) -> tuple[bool, float | None]:
    """Whether the last two blocks of a warm-up agree, and the median of the last in nanoseconds.

    A block is as timing.warm_up's: BLOCK_RUNS at least, and a fifth of `seconds`.
    """
    medians: list[float] = []
    block: list[int] = []
    begun_ms = queries[0].start_ms if queries else 0.0
    for query in queries:
        block.append(sample_ns(query))
        if len(block) >= BLOCK_RUNS and query.end_ms - begun_ms >= seconds * 1000 / 5:
            medians.append(median_ns(sorted(block)))
            block, begun_ms = [], query.end_ms
    if not medians:
        return False, None
    near = len(medians) > 1 and abs(medians[-1] / medians[-2] - 1) <= SETTLED
    return near, medians[-1]


def sample_ns(query: Query) -> int:
    """Its latency in whole nanoseconds."""
    return round(query.latency_ms * 1e6)
