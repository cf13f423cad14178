"""When each line of a log was written, from the time stamps in it, which are whole seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median_low
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST_STEP = 3.0
"""Seconds, and usual steps, between two stamps; where more is missing, power is not known."""
EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class LineTimes:
    """The times of a log's lines, or why they cannot be told."""

    seconds: NDArray[np.float64] | None
    """One for each line, in seconds; only differences mean something."""

    source: str
    """How they were derived, or the reason why they are not."""

    @property
    def interval_ms(self) -> float | None:
        """The mean time from one line to the next; None if it cannot be told."""
        if self.seconds is None or len(self.seconds) < 2:
            return None
        return float(self.seconds[-1] - self.seconds[0]) / (len(self.seconds) - 1) * 1000


def line_times(stamps: Sequence[str | None], interval_ms: float | None) -> LineTimes:
    """The time of each line: `interval_ms` apart if that is given, else from the stamps.

    A stamp of whole seconds tells the instant at which it changes to within one line; the lines
    between two changes are spread evenly.

    stamps: one for each line, as "04-19-2026 01:31:54"; None where a line has none.

    >>> stamps = ["04-19-2026 01:31:58", "04-19-2026 01:31:59", None, "04-19-2026 01:32:00"]
    >>> times = line_times(stamps, None).seconds
    >>> (times - times[0]).tolist()
    [0.0, 0.5, 1.0, 1.5]
    """
    import numpy as np

    lines = np.arange(len(stamps))
    if interval_ms is not None:
        return LineTimes(lines * interval_ms / 1000, f"a line every {interval_ms:g} ms, as given")
    stamped = [
        (line, stamp, second)
        for line, stamp in enumerate(stamps)
        if stamp is not None and (second := _second(stamp)) is not None
    ]
    if not stamped:
        return _unknown("no line has a time stamp (JetPack 4 writes none)")
    pairs = list(pairwise(stamped))
    back = [stamp for (_, _, before), (_, stamp, now) in pairs if now < before]
    if back:
        return _unknown(f"the board's clock goes back at {back[0]}")
    steps = [(now, now[2] - before[2]) for before, now in pairs if now[2] != before[2]]
    if len(steps) < 2:
        return _unknown("the time stamps are whole seconds, and the log is too short for them")
    longest_s = LONGEST_STEP * max(1.0, median_low([step_s for _, step_s in steps]))
    late = [(stamp, step_s) for (_, stamp, _), step_s in steps if step_s > longest_s]
    if late:
        return _unknown(f"{late[0][1]:g} s are missing before {late[0][0]}")
    at, seconds = (
        np.array([change[column] for change, _ in steps], dtype=np.float64) for column in (0, 2)
    )
    pace_s = (seconds[-1] - seconds[0]) / (at[-1] - at[0])
    times = np.interp(lines, at, seconds)
    times += pace_s * (np.minimum(lines - at[0], 0) + np.maximum(lines - at[-1], 0))
    return LineTimes(times, "time stamps of whole seconds, the lines between two spread evenly")


def _second(stamp: str) -> float | None:
    """Seconds of a calendar without time zones: only their differences mean something."""
    try:
        return (datetime.strptime(stamp, "%m-%d-%Y %H:%M:%S") - EPOCH).total_seconds()
    except ValueError:  # as for 02-31
        return None


def _unknown(reason: str) -> LineTimes:
    return LineTimes(None, f"{reason}; give the time between two lines: --interval-ms")
