"""A `tegrastats` log as a few figures: power and energy of each rail, temperatures, loads."""

from __future__ import annotations

from array import array
from collections import defaultdict
from functools import reduce
from typing import TYPE_CHECKING, Any

from ..deploy.agent.tegrastats import rails_mw
from ..deploy.agent.total_rule import total
from .line_times import LineTimes, line_times

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LogFigures:
    """Gathers the lines of a log, of which it keeps power and time only."""

    def __init__(self) -> None:
        self.lines = 0
        self.unreadable: list[int] = []
        self._stamps: list[str | None] = []
        self._rails: dict[str, _Series] = defaultdict(_Series)
        self._celsius: dict[str, _Mean] = defaultdict(_Mean)
        self._gpu, self._cpu = _Mean(), _Mean()

    def add(self, fields: dict[str, Any], number: int) -> None:
        """The next line, as `parse_line` gives it, and its number in the log.

        `fields` is empty for one that cannot be read: it counts as a line that took its time.
        """
        self._stamps.append(fields.get("time"))
        for rail, now_mw in rails_mw(fields).items():
            self._rails[rail].add(self.lines, now_mw)
        for name, celsius in fields.get("celsius", {}).items():
            self._celsius[name].add(celsius)
        if "load_percent" in fields.get("gpu", {}):
            self._gpu.add(fields["gpu"]["load_percent"])
        cores = [core["load_percent"] for core in fields.get("cpus", []) if core]
        if cores:
            self._cpu.add(sum(cores) / len(cores))
        self.lines += 1
        if not fields:
            self.unreadable.append(number)

    def summary(self, interval_ms: float | None) -> dict[str, Any]:
        """The figures of the whole log; a figure that cannot be had is null, with the reason.

        The energy of a rail is the integral of its power by the trapezoid, from its first to its
        last reading, `seconds` apart.
        """
        times = line_times(self._stamps, interval_ms)
        rails = {name: each.figures(times) for name, each in self._rails.items()}
        whole = self._total(times)
        wanted = {
            "seconds": (times.seconds is not None, times.source),
            "power_mw": (bool(rails), "no power rail can be read in this log"),
            "energy_mj": (bool(whole and whole["energy_mj"] is not None), _why(times, rails)),
            "celsius": (bool(self._celsius), "no temperature can be read in this log"),
            "gpu_load_percent": (self._gpu.count > 0, "no load of the GPU in this log"),
            "cpu_load_percent": (self._cpu.count > 0, "no load of the processor in this log"),
        }
        return {
            "lines": self.lines,
            "unreadable": len(self.unreadable),
            "unreadable_lines": self.unreadable,
            "seconds": _span(times.seconds),
            "interval_ms": times.interval_ms,
            "time_source": None if times.seconds is None else times.source,
            "power_mw": rails,
            "total": whole,
            "celsius": {
                name: {"mean": each.mean, "max": each.highest}
                for name, each in self._celsius.items()
            },
            "gpu_load_percent": self._gpu.mean,
            "cpu_load_percent": self._cpu.mean,
            "not_measured": {name: why for name, (known, why) in wanted.items() if not known},
        }

    def _total(self, times: LineTimes) -> dict[str, Any] | None:
        # A name that few lines have is a broken one.
        usual = max((len(each.mw) for each in self._rails.values()), default=0) / 2
        chosen = total([name for name, each in self._rails.items() if len(each.mw) > usual])
        if not chosen.rails:
            return None
        figures = _sum([self._rails[name] for name in chosen.rails]).figures(times)
        named = {"rule": chosen.rule, "rails": list(chosen.rails), "whole": chosen.whole}
        return {**named, **figures}


class _Series:
    """The readings of one rail, and the lines (from 0) that they stand in."""

    def __init__(self) -> None:
        self.lines, self.mw = array("q"), array("q")

    def add(self, line: int, now_mw: int) -> None:
        self.lines.append(line)
        self.mw.append(now_mw)

    def figures(self, times: LineTimes) -> dict[str, Any]:
        """Mean, least, most, and energy in mJ; all but the count null without a reading."""
        import numpy as np

        lines, mw = np.array(self.lines, dtype=np.int64), np.array(self.mw, dtype=np.float64)
        at_s = None if times.seconds is None or len(mw) < 2 else times.seconds[lines]
        return {
            "mean_mw": float(mw.mean()) if len(mw) else None,
            "min_mw": int(mw.min()) if len(mw) else None,
            "max_mw": int(mw.max()) if len(mw) else None,
            "samples": len(mw),
            "seconds": _span(at_s),
            "energy_mj": None if at_s is None else float(np.diff(at_s) @ (mw[1:] + mw[:-1]) / 2),
        }


def _sum(rails: list[_Series]) -> _Series:
    """The sum, in those lines that have all of them."""
    import numpy as np

    lines = [np.array(rail.lines, dtype=np.int64) for rail in rails]
    common = reduce(np.intersect1d, lines)
    parts = [np.array(rail.mw)[np.isin(at, common)] for rail, at in zip(rails, lines, strict=True)]
    summed = _Series()
    for line, mw in zip(common.tolist(), np.sum(parts, axis=0).tolist(), strict=True):
        summed.add(line, mw)
    return summed


class _Mean:
    def __init__(self) -> None:
        self.count, self._sum, self.highest = 0, 0.0, float("-inf")

    def add(self, value: float) -> None:
        self.count += 1
        self._sum += value
        self.highest = max(self.highest, value)

    @property
    def mean(self) -> float | None:
        return self._sum / self.count if self.count else None


def _span(at_s: NDArray[np.float64] | None) -> float | None:
    return None if at_s is None or len(at_s) < 2 else float(at_s[-1] - at_s[0])


def _why(times: LineTimes, rails: dict[str, Any]) -> str:
    if not rails:
        return "no power rail can be read in this log"
    return times.source if times.seconds is None else "too few lines with power"
