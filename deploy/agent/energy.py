"""Energy of a measurement: idle baseline, timed window, and per run; or null, and the reason.

A meter is a reader of the machine's own energy counters with three verbs: `begin`, `tick` (called
often enough that no counter wraps twice between two readings) and `end`. METERS lists the kinds
tried, in order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Protocol

from .errors import Unmeasurable
from .meter_rapl import Rapl

METERS = (Rapl,)
SHORTEST_WINDOW_S = 0.1  # counters move about once a millisecond: at 0.1 s, one percent


class Meter(Protocol):
    """Energy counters, found and read once; every verb may raise Unmeasurable."""

    source: str
    """What is counted and what is not."""

    def begin(self) -> None:
        """Start counting at nought from here."""

    def tick(self) -> None:
        """Add what was used since the last reading."""

    def end(self) -> float:
        """Energy since `begin`, in millijoules."""


def find_meter(root: Path = Path("/")) -> Meter:
    """The first meter of METERS that answers.

    Raises:
        Unmeasurable: none does; the message gives each one's reason.
    """
    reasons = []
    for meter in METERS:
        try:
            return meter(root)
        except Unmeasurable as error:
            reasons.append(str(error))
    raise Unmeasurable("; ".join(reasons))


class Energy:
    """The energy of one measurement. A meter that is absent or fails on the way costs the figures,
    never the measurement: all four are null then, and `source` is the reason."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._meter: Meter | None = None
        self._idle_mw: float | None = None
        try:
            self._meter = find_meter(root)
            self._source = self._meter.source
        except Unmeasurable as error:
            self._give_up(error)

    def measure_idle(
        self,
        seconds: float,
        clock_ns: Callable[[], int],
        sleep: Callable[[float], None],
        tell: Callable[[float], None],
    ) -> None:
        """The power of the machine while the model does not run; without a meter, nothing."""
        if self._meter is None:
            return
        try:
            self._meter.begin()
            start = now = clock_ns()
            while now - start < seconds * 1e9:
                tell((now - start) / 1e9)
                sleep(min(seconds, 0.25))
                self._meter.tick()
                now = clock_ns()
            self._idle_mw = self._meter.end() / ((now - start) / 1e9)
        except Unmeasurable as error:
            self._give_up(error)

    def begin(self) -> None:
        """The timed window opens."""
        try:
            if self._meter is not None:
                self._meter.begin()
        except Unmeasurable as error:
            self._give_up(error)

    def tick(self) -> None:
        """The timed window goes on."""
        try:
            if self._meter is not None:
                self._meter.tick()
        except Unmeasurable as error:
            self._give_up(error)

    def end(self, runs: int, seconds: float) -> dict[str, Any]:
        """The window of `runs` runs in `seconds` just closed: mJ per run, mW, and the source."""
        try:
            if self._meter is not None and self._idle_mw is not None:
                used_mj = self._meter.end()
                if seconds >= SHORTEST_WINDOW_S:
                    return {
                        "energy_mj": used_mj / runs,
                        "above_idle_mj": (used_mj - self._idle_mw * seconds) / runs,
                        "power_mw": used_mj / seconds,
                        "idle_power_mw": self._idle_mw,
                        "source": self._source,
                    }
                self._source += f": a window of {seconds:.3f} s is too short for its counters"
        except Unmeasurable as error:
            self._give_up(error)
        empty = dict.fromkeys(("energy_mj", "above_idle_mj", "power_mw", "idle_power_mw"))
        return {**empty, "source": self._source}

    def _give_up(self, error: Unmeasurable) -> None:
        self._meter = None
        self._source = str(error)
