"""The board's power rails as a meter: a thread reads them all the time, trapezoids give the energy.

`bound_mj` of a window is, for each rail of the total, the sum of
  - one step of the monitor's current and one of its voltage over the whole window (`steps_mj`);
  - half a step of the power, as read, over one interval at each edge (PowerSamples);
  - the monitor's own time for a reading, by which every value is late, times the range of the
    power: a step at an edge is seen that much later.
Not in it: the tolerance of shunts and monitors, which shifts all windows alike, and what the power
does between two readings.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Callable, Sequence

from .errors import Unmeasurable
from .files import Files
from .power_samples import Integral, PowerSamples, Reading
from .programs import Programs
from .rails import Rail, find_rails, read_node, read_rail, steps_mj
from .total_rule import total

INTERVAL_S = 0.05
"""Between readings, on average. A monitor takes 7 ms (JetPack 5 and later) to some 50 ms (INA238,
JetPack 4) for a value of its own, so more would tell little. Three rails at this pace took 0.5 % of
one core of an Intel Xeon, 0.03 ms a round and the waking up."""
GOLDEN = 0.6180339887498949
FEWEST_SAMPLES = 10
PATIENCE_S = 3.0  # for the readings behind a window; a monitor that is asleep answers late


class Rails:
    """A meter over all rails below `root`."""

    def __init__(
        self,
        root: Path = Path("/"),
        programs: Programs | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """Find them and read them once. Raises Unmeasurable: none, or the total cannot be read."""
        self._clock_ns = clock_ns
        found = find_rails(Files(root))
        if not found:
            raise Unmeasurable("no power rail in /sys/bus/i2c/drivers (INA3221, INA238)")
        chosen = total([rail.name for rail in found])
        self.rails = [rail.name for rail in found]
        self.rule: str | None = chosen.rule
        self._total = [rail for rail in found if rail.name in chosen.rails]
        self._others = [rail for rail in found if rail.name not in chosen.rails]
        where = ", ".join(dict.fromkeys(rail.address for rail in found))
        self.source = f"power rails {' + '.join(chosen.rails)} of the monitors {where}"
        self._samples = PowerSamples()
        self._failed: dict[str, str] = {}
        """Rails that could not be read when they were last tried, and why."""
        self._start_ns = 0
        self._begun_ns = -1
        """When the last round of readings began."""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._volts_mv = self._try(self._total, lambda rail: read_node(rail.volt_mv))
        if not self._failed:
            self._try(self._total, read_rail)
        if self._failed:
            raise Unmeasurable(f"power rails cannot be read ({self._reasons()})")

    def start(self) -> None:
        """Begin to read."""
        self._sample()  # one reading before any window
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def begin(self, start_ns: int) -> None:
        """A window opens."""
        self._start_ns = start_ns

    def tick(self) -> None:
        """Nothing: the thread reads."""

    def end(self, stop_ns: int) -> Reading:
        """The energy of the window, once all rails have been read behind its end.

        Raises:
            Unmeasurable: a rail of the total vanished, or was read too seldom.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not self._read_behind(stop_ns) and time.monotonic() < deadline:
            time.sleep(INTERVAL_S / 10)
        if self._begun_ns < stop_ns:
            raise Unmeasurable(f"{self.source}: no answer for {PATIENCE_S:g} s")
        found = self._energy(self._total, stop_ns)
        seconds = (stop_ns - self._start_ns) / 1e9
        if found.samples < FEWEST_SAMPLES:
            raise Unmeasurable(
                f"{self.source}: {found.samples} readings in a window of {seconds:.3f} s,"
                f" fewer than {FEWEST_SAMPLES}: measure for longer"
            )
        return Reading(
            used_mj=sum(found.rails_mj.values()),
            samples=found.samples,
            bound_mj=sum(self._bound_mj(rail, found, seconds) for rail in self._total),
            rails_mj={**found.rails_mj, **self._beside(stop_ns)},
        )

    def trace(self, origin_ns: int) -> dict[str, Any] | None:
        """The total power at every reading."""
        return self._samples.trace(origin_ns, [rail.name for rail in self._total])

    def close(self) -> None:
        """Stop reading."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)  # a monitor that hangs does not hold up the result

    def _read_behind(self, stop_ns: int) -> bool:
        """A round of readings began after this instant and is over, and none of the total failed
        (one that did may succeed in the next round)."""
        last_ns = self._samples.last_ns([rail.name for rail in self._total])
        return self._begun_ns >= stop_ns and last_ns is not None and last_ns >= stop_ns

    def _energy(self, rails: Sequence[Rail], stop_ns: int) -> Integral:
        try:
            return self._samples.energy(self._start_ns, stop_ns, [rail.name for rail in rails])
        except Unmeasurable as error:
            why = self._reasons()
            raise Unmeasurable(f"power rails: {error}" + (f" ({why})" if why else "")) from None

    def _beside(self, stop_ns: int) -> dict[str, float]:
        """The rails outside the total, of those that were there all the time."""
        found: dict[str, float] = {}
        for rail in self._others:
            try:
                found.update(self._energy([rail], stop_ns).rails_mj)
            except Unmeasurable:  # it is absent then, which is how a rail not measured is told
                continue
        return found

    def _bound_mj(self, rail: Rail, found: Integral, seconds: float) -> float:
        name = rail.name
        steps = steps_mj(rail, self._volts_mv[name], found.rails_mj[name], seconds)
        return steps + found.edges_mj[name] + rail.update_s * found.ranges_mw[name]

    def _run(self) -> None:
        turn = 0
        # Half to one and a half intervals, evenly spread and never in step with a model that runs
        # at a steady pace: a fixed interval might meet the same phase of it each time.
        while not self._over.wait(INTERVAL_S * (0.5 + turn * GOLDEN % 1)):
            self._sample()
            turn += 1

    def _sample(self) -> None:
        begun = self._clock_ns()
        for rails in (self._total, self._others):
            before = self._clock_ns()
            read = self._try(rails, read_rail)
            # In the middle of the reads: a monitor may let each wait for a conversion.
            self._samples.add((before + self._clock_ns()) // 2, read)
        self._begun_ns = begun

    def _try(self, rails: Sequence[Rail], read: Callable[[Rail], Any]) -> dict[str, Any]:
        """What `read` gives for each rail that answers; a rail that does not lacks this reading."""
        found = {}
        for rail in rails:
            try:
                found[rail.name] = read(rail)
                self._failed.pop(rail.name, None)
            except (OSError, ValueError) as error:
                self._failed[rail.name] = getattr(error, "strerror", None) or str(error)
        return found

    def _reasons(self) -> str:
        return "; ".join(f"{name}: {why}" for name, why in list(self._failed.items()))
