"""The two loops that run a model: until its time settles, and with every run timed.

They know no engine and no clock: `run` is one inference, `clock_ns` a monotonic clock, `tick` is
called between runs, at most every TICK_NS, with the runs done and the seconds gone.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Callable

from .stats import median_ns

TICK_NS = 250_000_000
MAX_RUNS = 1_000_000  # of a 20-microsecond model: 20 s; bounds memory and the line with the samples
BLOCK_RUNS = 5
SETTLED = 0.05

Tick = Callable[[int, float], None]


@dataclass(frozen=True)
class WarmUp:
    """How the warm-up went."""

    runs: int
    seconds: float
    settled: bool
    """Its last two blocks had medians within 5 % of each other."""
    typical_ns: float | None
    """Median of the last block; None before the first was full."""


@dataclass(frozen=True)
class Window:
    """A timed window: the duration of every run in it, in running order."""

    samples_ns: list[int]
    """Host time around each run."""
    device_ns: list[int] | None
    """Device time of each run by the runtime's own events; None where the runtime has none."""
    start_ns: int
    stop_ns: int
    """Instants of the clock that timed it; at `stop_ns` the last run was complete."""

    @property
    def seconds(self) -> float:
        return (self.stop_ns - self.start_ns) / 1e9


def warm_up(
    run: Callable[[], None], clock_ns: Callable[[], int], seconds: float, tick: Tick
) -> WarmUp:
    """Runs for at least `seconds` and until the time per run settles, at most ten times as long."""
    start = now = clock_ns()
    shortest_ns, next_tick = seconds * 1e9, start + TICK_NS
    runs, settled = 0, False
    block: list[int] = []
    block_start = start
    previous: float | None = None
    latest: float | None = None
    while now - start < shortest_ns or (not settled and now - start < 10 * shortest_ns):
        begin = clock_ns()
        run()
        now = clock_ns()
        runs += 1
        block.append(now - begin)
        if len(block) >= BLOCK_RUNS and now - block_start >= shortest_ns / 5:
            previous, latest = latest, median_ns(sorted(block))
            settled = previous is not None and abs(latest / previous - 1) <= SETTLED
            block, block_start = [], now
        if now >= next_tick:
            tick(runs, (now - start) / 1e9)
            next_tick = now + TICK_NS
    return WarmUp(runs, (now - start) / 1e9, settled, latest)


def timed_window(
    run: Callable[[], None],
    clock_ns: Callable[[], int],
    *,
    seconds: float,
    min_runs: int,
    max_seconds: float,
    begin: Callable[[int], None],
    tick: Tick,
    device_ns: Callable[[], int | None] = lambda: None,
) -> Window:
    """Times `run` until both `seconds` and `min_runs` are reached, or `max_seconds` or MAX_RUNS.

    `begin` is called at the last moment before the window opens, with that moment; `device_ns`
    after each run, outside its time.
    """
    samples: list[int] = []
    on_device: list[int | None] = []
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # a collection inside a run would be counted as the model's
    try:
        begin(clock_ns())
        start = clock_ns()
        next_tick = start + TICK_NS
        enough_ns, limit_ns = start + seconds * 1e9, start + max_seconds * 1e9
        while True:
            before = clock_ns()
            run()
            now = clock_ns()
            samples.append(now - before)
            on_device.append(device_ns())
            if len(samples) >= min_runs and now >= enough_ns:
                break
            if now >= limit_ns or len(samples) >= MAX_RUNS:
                break
            if now >= next_tick:
                tick(len(samples), (now - start) / 1e9)
                next_tick = now + TICK_NS
    finally:
        if collecting:
            gc.enable()
    known = [nanoseconds for nanoseconds in on_device if nanoseconds is not None]
    return Window(samples, known if len(known) == len(samples) else None, start, now)
