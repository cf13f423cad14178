"""Energy of a measurement: idle baseline and timed windows; or null, and the reason.

A meter reads the machine's own power or energy. Tried in this order: a board's rails, NVIDIA's
tegrastats where the rails cannot be read; then the counter of what does the work, the CPU's or a
discrete GPU's, for neither sees the other.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import AbstractSet, Any, Callable, Protocol

from .errors import Unmeasurable
from .power_samples import Reading
from .programs import Programs

BOARD = (("meter_rails", "Rails"), ("meter_tegrastats", "Tegrastats"))
COUNTERS = {"cpu": ("meter_rapl", "Rapl"), "gpu": ("meter_nvml", "NvmlEnergy")}
SHORTEST_WINDOW_S = 0.1  # counters move about once a millisecond: at 0.1 s, one percent
Clock = Callable[[], int]


class Meter(Protocol):
    """A meter that was found here, and not started yet; every verb may raise Unmeasurable."""

    source: str
    """What is counted and what is not."""
    rule: str | None
    """How the total is chosen, where there is a choice."""
    rails: list[str]
    """What it reads."""

    def start(self) -> None:
        """Begin to read, in whatever thread or process it takes."""

    def begin(self, start_ns: int) -> None:
        """A window opens at this instant."""

    def tick(self) -> None:
        """The window goes on; called often enough that no counter wraps twice between two."""

    def end(self, stop_ns: int) -> Reading:
        """The window closes at this instant."""

    def trace(self, origin_ns: int) -> dict[str, Any] | None:
        """{"t_s", "mw"}: the total power since the start; None for a counter of energy."""

    def close(self) -> None:
        """End what `start` began."""


def find_meter(
    root: Path = Path("/"),
    programs: Programs | None = None,
    clock_ns: Clock = time.perf_counter_ns,
    workers: AbstractSet[str] = frozenset({"cpu"}),
) -> Meter:
    """The first meter that is there and counts what `workers`, of COUNTERS, use.

    Raises:
        Unmeasurable: none does; the message gives each one's reason.
    """
    kinds = [*BOARD, *[COUNTERS[worker] for worker in sorted(workers) if len(workers) == 1]]
    reasons = []
    for module, name in kinds:
        try:
            meter: Meter = getattr(import_module(f".{module}", __package__), name)(
                root, programs or Programs(root), clock_ns
            )
            return meter
        except Unmeasurable as error:
            reasons.append(str(error))
    if len(workers) > 1:
        reasons.append("no one counter sees CPU and GPU: measure their cases apart")
    raise Unmeasurable("; ".join(reasons))


class Energy:
    """The energy of one measurement. A meter that is absent or fails on the way costs the figures,
    never the measurement. Each window stands alone: one that was too short or had a gap is null,
    and `source` says why."""

    def __init__(
        self,
        root: Path = Path("/"),
        programs: Programs | None = None,
        clock_ns: Clock = time.perf_counter_ns,
        workers: AbstractSet[str] = frozenset({"cpu"}),
    ) -> None:
        self._meter: Meter | None = None
        self._clock_ns = clock_ns
        self._idle: Reading | None = None
        self._idle_s = 0.0
        self._no_idle = ""
        self._start_ns = 0
        self._open = False
        """A window is open, and nothing has failed in it."""
        self._windows, self._lost = 0, 0
        self._reason = ""
        """What failed last."""
        try:
            self._meter = find_meter(root, programs, clock_ns, workers)
            self._meter.start()
        except Unmeasurable as error:
            self.close()
            self._meter, self._reason = None, str(error)

    def measure_idle(
        self, seconds: float, sleep: Callable[[float], None], tell: Callable[[float], None]
    ) -> None:
        """The power of the machine while the model does not run; without a meter, nothing."""
        if self._meter is None:
            return
        start = now = self._clock_ns()
        self.begin(start)
        while now - start < seconds * 1e9:
            tell((now - start) / 1e9)
            sleep(min(seconds, 0.25))
            self.tick()
            now = self._clock_ns()
        self._idle_s = (now - start) / 1e9
        self._idle = self._end(now)
        self._no_idle = "" if self._idle else f"; no idle power: {self._reason}"

    def begin(self, start_ns: int) -> None:
        """A timed window opens at this instant."""
        self._start_ns = start_ns
        self._open = self._meter is not None
        self._try(lambda meter: meter.begin(start_ns))

    def tick(self) -> None:
        """The timed window goes on."""
        self._try(lambda meter: meter.tick())

    def end(self, stop_ns: int) -> dict[str, Any] | None:
        """The window that closes at this instant, as the fields of Reading; None: not measured."""
        reading = self._end(stop_ns)
        self._windows += 1
        self._lost += reading is None
        return None if reading is None else asdict(reading)

    def summary(self) -> dict[str, Any]:
        """What is metered, how its total is chosen, and the idle power; or why nothing is."""
        meter, idle = self._meter, self._idle
        readable = meter is not None and (self._lost < self._windows or not self._windows)
        source = self._reason
        if meter is not None and readable:
            source = meter.source + self._no_idle
            if self._lost:
                source += f"; not in {self._lost} of {self._windows} windows: {self._reason}"
        return {
            "readable": readable,
            "source": source,
            "rule": meter.rule if meter is not None and readable else None,
            "idle_power_mw": None if idle is None else idle.used_mj / self._idle_s,
            "idle_samples": 0 if idle is None else idle.samples,
        }

    def trace(self, origin_ns: int) -> dict[str, Any] | None:
        """{"t_s", "mw"}: all readings of the total power; None for a counter or no meter."""
        return None if self._meter is None else self._meter.trace(origin_ns)

    def close(self) -> None:
        """The measurement is over."""
        if self._meter is not None:
            self._meter.close()

    def _end(self, stop_ns: int) -> Reading | None:
        found: list[Reading] = []
        self._try(lambda meter: found.append(self._checked(meter, stop_ns)))
        return found[0] if found else None

    def _checked(self, meter: Meter, stop_ns: int) -> Reading:
        seconds = (stop_ns - self._start_ns) / 1e9
        if seconds < SHORTEST_WINDOW_S:
            raise Unmeasurable(f"{meter.source}: a window of {seconds:.3f} s is too short for it")
        reading = meter.end(stop_ns)
        if reading.used_mj <= 0:
            raise Unmeasurable(f"{meter.source}: {reading.used_mj:g} mJ in {seconds:.3f} s")
        return reading

    def _try(self, verb: Callable[[Meter], None]) -> None:
        """Nothing more is asked of the meter in a window in which it failed."""
        if self._meter is None or not self._open:
            return
        try:
            verb(self._meter)
        except Unmeasurable as error:
            self._open, self._reason = False, str(error)
