"""Power readings on a monotonic clock, and the energy between two instants.

Trapezoids between readings, and straight lines through the readings on both sides of an edge: a
window is only integrated where there is one before it and one after it. What the power did between
two readings nobody saw.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any, Sequence

from .errors import Unmeasurable

LONGEST_GAP_S = 1.5
"""Between two readings of a rail; tegrastats, whose least steps are 0.1 s, may be late by a second
on a busy board."""
NS = 1e9


@dataclass(frozen=True)
class Reading:
    """The energy of one window."""

    used_mj: float
    samples: int
    """Readings of the meter that lie inside it."""
    bound_mj: float
    """How far `used_mj` may be off by the meter's steps and by where the edges fall."""
    rails_mj: dict[str, float]
    """All that was metered, also what is not in the total or is in it twice."""


@dataclass(frozen=True)
class Integral:
    """The energy of a window, rail by rail."""

    rails_mj: dict[str, float]
    samples: int
    """Readings inside the window, of the rail that has the fewest."""
    edges_mj: dict[str, float]
    """How far the two edges may be off: a step of the power may lie anywhere between the readings
    around an edge."""
    ranges_mw: dict[str, float]
    """Highest less lowest of the readings in the window and around it."""


@dataclass(frozen=True)
class _Part:
    """One rail's share of an Integral."""

    energy_mj: float
    samples: int
    edges_mj: float
    range_mw: float


class PowerSamples:
    """Readings as they come, from a thread of their own; asked from another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Arrays: an hour of four rails, twenty times a second, takes 5 MB.
        self._times_ns: dict[str, array[int]] = {}
        self._powers_mw: dict[str, array[float]] = {}

    def add(self, t_ns: int, rails_mw: dict[str, float]) -> None:
        """One reading, later than all before it, of the rails that could be read."""
        with self._lock:
            for name, power_mw in rails_mw.items():
                self._times_ns.setdefault(name, array("q")).append(t_ns)
                self._powers_mw.setdefault(name, array("d")).append(power_mw)

    def last_ns(self, names: Sequence[str]) -> int | None:
        """The instant up to which all of these rails have been read; None before the first."""
        with self._lock:
            read = [self._times_ns.get(name) for name in names]
            return None if not read or not all(read) else min(times[-1] for times in read if times)

    def energy(self, start_ns: int, stop_ns: int, names: Sequence[str] | None = None) -> Integral:
        """The energy of `names` (default: all rails) from `start_ns` to `stop_ns`.

        Raises:
            Unmeasurable: a rail was not read before or after the window, or not for more than
                LONGEST_GAP_S within it.
        """
        if stop_ns <= start_ns:
            raise Unmeasurable("the window is empty")
        with self._lock:
            wanted = list(self._times_ns) if names is None else list(names)
            found = {name: self._one(name, start_ns, stop_ns) for name in wanted}
        if not found:
            raise Unmeasurable("no power was read")
        return Integral(
            {name: part.energy_mj for name, part in found.items()},
            min(part.samples for part in found.values()),
            {name: part.edges_mj for name, part in found.items()},
            {name: part.range_mw for name, part in found.items()},
        )

    def trace(self, origin_ns: int, names: Sequence[str]) -> dict[str, Any] | None:
        """{"t_s", "mw"} of the sum of `names`, at each instant at which all of them were read."""
        with self._lock:
            series = [
                dict(zip(self._times_ns.get(name, ()), self._powers_mw.get(name, ())))
                for name in names
            ]
        if not series or not all(series):
            return None
        times = [t for t in series[0] if all(t in each for each in series)]
        return {
            "t_s": [(t - origin_ns) / NS for t in times],
            "mw": [sum(each[t] for each in series) for t in times],
        }

    def _one(self, name: str, start_ns: int, stop_ns: int) -> _Part:
        times = self._times_ns.get(name, array("q"))
        powers = self._powers_mw.get(name, array("d"))
        first, last = bisect_right(times, start_ns) - 1, bisect_left(times, stop_ns)
        if first < 0 or last >= len(times):
            where = "before" if first < 0 else "after"
            raise Unmeasurable(f"{name} was not read {where} the window")
        gap_s = max(b - a for a, b in zip(times[first:last], times[first + 1 : last + 1])) / NS
        if gap_s > LONGEST_GAP_S:
            raise Unmeasurable(f"{name} was not read for {gap_s:.1f} s within the window")

        def at(t_ns: int, i: int) -> float:
            """The power at an instant between readings i and i + 1."""
            share = (t_ns - times[i]) / (times[i + 1] - times[i])
            return powers[i] + share * (powers[i + 1] - powers[i])

        points = [(start_ns, at(start_ns, first))]
        points += [(times[i], powers[i]) for i in range(first + 1, last)]
        points += [(stop_ns, at(stop_ns, last - 1))]
        energy = sum((b - a) * (p + q) / 2 for (a, p), (b, q) in zip(points, points[1:])) / NS
        steps = ((first, first + 1), (last - 1, last))
        edges = sum((times[b] - times[a]) * abs(powers[b] - powers[a]) / 2 for a, b in steps) / NS
        around = powers[first : last + 1]
        return _Part(energy, len(points) - 2, edges, max(around) - min(around))
