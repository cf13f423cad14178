"""Readings of a counter of energy on a monotonic clock, and what it rose by between two instants.

A program that measures may learn of a window's end, or read its own output, seconds after it; so
the counter is read all the time, and straight lines between readings give it at both edges.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from typing import Callable

from .errors import Unmeasurable
from .power_samples import Reading

INTERVAL_S = 0.05
LONGEST_GAP_S = 0.5
"""From an edge to the nearest reading."""
PATIENCE_S = 3.0


class CounterSamples:
    """What `read` gave, in millijoules that only rise, and when; `read` may raise Unmeasurable."""

    def __init__(
        self, read: Callable[[], float], clock_ns: Callable[[], int], source: str, update_s: float
    ) -> None:
        """`update_s`: a step of the counter, by which what it shows may be late."""
        self._read = read
        self._clock_ns = clock_ns
        self._source = source
        self._update_s = update_s
        self._times_ns = array("q")
        self._energies_mj = array("d")
        self._lock = threading.Lock()  # one reading at a time: the instants only rise
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read every INTERVAL_S from here on, besides what `take` reads."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def take(self) -> None:
        """One reading now. Raises Unmeasurable: the counter cannot be read."""
        with self._lock:
            before_ns = self._clock_ns()
            energy_mj = self._read()
            now_ns = (before_ns + self._clock_ns()) // 2
            if self._times_ns and self._times_ns[-1] == now_ns:
                self._energies_mj[-1] = energy_mj
                return
            self._times_ns.append(now_ns)
            self._energies_mj.append(energy_mj)

    def between(self, start_ns: int, stop_ns: int) -> Reading:
        """The energy of a window. `bound_mj` is, at either edge, a step of the counter and the time
        to the nearest reading, at the power there or the window's mean, whichever is more.

        Raises:
            Unmeasurable: there is no reading before, behind or near an edge.
        """
        with self._lock:
            first, last = self._at(start_ns), self._at(stop_ns)
        used_mj, seconds = last[0] - first[0], (stop_ns - start_ns) / 1e9
        mean_mw = used_mj / seconds
        return Reading(
            used_mj=used_mj,
            samples=max(int(seconds / self._update_s), 1),
            bound_mj=sum(
                (self._update_s + away_s) * max(mean_mw, power_mw)
                for _, away_s, power_mw in (first, last)
            ),
            rails_mj={},
        )

    def close(self) -> None:
        """Stop reading."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)

    def _at(self, instant_ns: int) -> tuple[float, float, float]:
        """The energy at this instant, the seconds to the nearest reading, the power around it (0
        where the instant is that of a reading)."""
        times_ns, energies_mj = self._times_ns, self._energies_mj
        behind = bisect_left(times_ns, instant_ns)
        if behind < len(times_ns) and times_ns[behind] == instant_ns:
            return energies_mj[behind], 0.0, 0.0
        if behind in (0, len(times_ns)):
            where = "behind" if behind else "before"
            raise Unmeasurable(f"{self._source}: no reading {where} an edge of the window")
        since_s = (instant_ns - times_ns[behind - 1]) / 1e9
        until_s = (times_ns[behind] - instant_ns) / 1e9
        away_s = min(since_s, until_s)
        if away_s > LONGEST_GAP_S:
            raise Unmeasurable(f"{self._source}: read {away_s:.2f} s from an edge of the window")
        rise_mj = energies_mj[behind] - energies_mj[behind - 1]
        power_mw = rise_mj / (since_s + until_s)
        return energies_mj[behind - 1] + power_mw * since_s, away_s, power_mw

    def _run(self) -> None:
        while not self._over.wait(INTERVAL_S):
            try:
                self.take()
            except Unmeasurable:  # a reading is lacking; the next that is asked for says why
                continue
