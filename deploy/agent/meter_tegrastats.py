"""NVIDIA's `tegrastats` as a power meter: the fallback where the rails' own files cannot be read.

The program runs beside the measurement. Each line is stamped as it arrives, because the time in it
is whole seconds, and the first power of each rail is kept: the second is the mean since the program
started, from which no window can be told.

`bound_mj` of a window is one step of every rail of the total over the whole window, half a step of
the power at each edge (PowerSamples), and, as a value is up to an interval old when it arrives, the
interval times the range of the power that was read. The text does not say how large a rail's steps
are: it is the commonest change seen, and not less than LEAST_STEP_MW. The smallest change would be
the voltage's, a tenth of the current's.

Without root's rights lines lack some fields; the rails stay, on the boards whose lines we have.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Sequence

from .errors import Unmeasurable
from .power_samples import PowerSamples, Reading
from .programs import Programs
from .tegrastats_process import INTERVAL_MS, TegrastatsProcess
from .total_rule import total

FEWEST_SAMPLES = 5
LEAST_STEP_MW = 40
"""A step of an INA3221 at 5 V over 5 milliohms; seen on Orin Nano. An AGX Orin has ten times it."""
FEWEST_STEPS = 10
"""Of fewer changes none is the commonest."""


class Tegrastats:
    """A meter of all rails that `tegrastats` prints."""

    def __init__(
        self,
        root: Path = Path("/"),
        programs: Programs | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """Run the program for one line with power.

        Raises:
            Unmeasurable: there is none, or it prints no power; the message says what it did.
        """
        self._programs, self._clock_ns = programs or Programs(root), clock_ns
        first: list[dict[str, int]] = []
        running = TegrastatsProcess(self._programs, clock_ns, lambda _, rails: first.append(rails))
        try:
            running.wait(lambda: bool(first))
        finally:
            running.close()
        self.rails = list(first[0])
        chosen = total(self.rails)
        self.rule: str | None = chosen.rule
        self.source = f"tegrastats {' + '.join(chosen.rails)}"
        self._total = list(chosen.rails)
        self._samples = PowerSamples()
        self._start_ns = 0
        self._running: TegrastatsProcess | None = None

    def start(self) -> None:
        """Run the program until `close`. Raises Unmeasurable: it prints no power any more."""
        self._running = TegrastatsProcess(self._programs, self._clock_ns, self._take)
        self._running.wait(lambda: self._samples.last_ns(self._total) is not None)

    def begin(self, start_ns: int) -> None:
        """A window opens."""
        self._start_ns = start_ns

    def tick(self) -> None:
        """Nothing: the thread reads."""

    def end(self, stop_ns: int) -> Reading:
        """The energy of the window, once a line has come from behind its end.

        Raises:
            Unmeasurable: the program ended or fell silent, or lines came too seldom.
        """
        if self._running is None:
            raise Unmeasurable(f"{self.source}: it was not started")
        self._running.wait(lambda: (self._samples.last_ns(self._total) or 0) >= stop_ns)
        found = self._samples.energy(self._start_ns, stop_ns, self._total)
        seconds = (stop_ns - self._start_ns) / 1e9
        if found.samples < FEWEST_SAMPLES:
            raise Unmeasurable(
                f"{self.source}: {found.samples} lines in a window of {seconds:.3f} s,"
                f" fewer than {FEWEST_SAMPLES}: measure for longer"
            )
        return Reading(
            used_mj=sum(found.rails_mj.values()),
            samples=found.samples,
            bound_mj=self._steps_mw() * seconds
            + sum(found.edges_mj.values())
            + self._range_mw(self._start_ns, stop_ns) * INTERVAL_MS / 1000,
            rails_mj={**found.rails_mj, **self._beside(stop_ns)},
        )

    def trace(self, origin_ns: int) -> dict[str, Any] | None:
        """The total power of every line."""
        return self._samples.trace(origin_ns, self._total)

    def close(self) -> None:
        """End the program; what was read stays."""
        if self._running is not None:
            self._running.close()

    def _take(self, t_ns: int, rails: dict[str, int]) -> None:
        # A torn line may lack a rail of the total: then it is no reading of any.
        if all(name in rails for name in self._total):
            self._samples.add(t_ns, {n: float(mw) for n, mw in rails.items() if n in self.rails})

    def _beside(self, stop_ns: int) -> dict[str, float]:
        """The rails outside the total, of those that were read all the time."""
        found: dict[str, float] = {}
        for name in self.rails:
            try:
                if name not in self._total:
                    found.update(self._samples.energy(self._start_ns, stop_ns, [name]).rails_mj)
            except Unmeasurable:  # it is absent then, which is how a rail not measured is told
                continue
        return found

    def _steps_mw(self) -> float:
        series = [self._samples.trace(0, [name]) or {"mw": []} for name in self._total]
        return sum(step_mw(each["mw"]) for each in series)

    def _range_mw(self, start_ns: int, stop_ns: int) -> float:
        trace = self._samples.trace(start_ns, self._total) or {"t_s": [], "mw": []}
        length_s = (stop_ns - start_ns) / 1e9
        inside = [mw for t_s, mw in zip(trace["t_s"], trace["mw"]) if 0 <= t_s <= length_s]
        return max(inside, default=0.0) - min(inside, default=0.0)


def step_mw(powers_mw: Sequence[float]) -> float:
    """The step in which a rail's power is given, judged by the changes from line to line.

    >>> step_mw([5000, 5040] * 6), step_mw([1608, 2010] * 6)
    (40, 402)
    """
    changes = [abs(b - a) for a, b in zip(powers_mw, powers_mw[1:]) if a != b]
    if len(changes) < FEWEST_STEPS:
        return LEAST_STEP_MW
    return max(LEAST_STEP_MW, Counter(changes).most_common(1)[0][0])
