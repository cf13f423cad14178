"""A small model timed briefly right before and right after each window: the machine's own speed.

A processor shared with others runs at more than one speed, and changes it within a second. Windows
taken seconds apart can be compared only by what the same work took beside each of them.
"""

from __future__ import annotations

from typing import Callable

from .engine import Engine
from .stats import median_ns

SECONDS = 0.01
MIN_RUNS = 5


class Yardstick:
    """An engine at work on a model that is not itself measured."""

    def __init__(self, engine: Engine, clock_ns: Callable[[], int], max_seconds: float) -> None:
        self._engine = engine
        self._clock_ns = clock_ns
        self._max_seconds = max_seconds

    def open(self, warmup_seconds: float) -> None:
        """Load it, and run it until its time settles."""
        self._engine.load()
        self._engine.feed()
        self._engine.run()
        self._engine.warm_up(self._clock_ns, warmup_seconds, lambda runs, seconds: None)

    def read_ns(self) -> int:
        """What a run of it takes now: the median of a brief window."""
        window = self._engine.window(
            self._clock_ns,
            seconds=SECONDS,
            min_runs=MIN_RUNS,
            max_seconds=self._max_seconds,
            begin=lambda instant: None,
            tick=lambda runs, seconds: None,
        )
        return round(median_ns(sorted(window.samples_ns)))
