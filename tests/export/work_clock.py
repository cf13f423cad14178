"""A clock that goes on by the work done, so that rounds come out the same on any machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgestill.export import check_latency, timed_turns
from edgestill.export.paired_latency import paired_latency

NODE_MS = 0.5
"""What a node takes: much, so that few calls fill a slot."""


class WorkClock:
    """Stands for the module `time`, as far as the turns use it."""

    get_clock_info = staticmethod(time.get_clock_info)

    def __init__(self) -> None:
        self.ns = 0

    def perf_counter_ns(self) -> int:
        return self.ns

    thread_time_ns = perf_counter_ns

    def monotonic(self) -> float:
        return self.ns / 1e9

    perf_counter = monotonic


class Working:
    """A real session whose calls take NODE_MS a node by the clock."""

    def __init__(self, session: Any, nodes: int, clock: WorkClock) -> None:
        self._session, self._nodes, self._clock = session, nodes, clock

    def run(self, names: None, feeds: Mapping[str, Any]) -> Any:
        found = self._session.run(names, feeds)
        self._clock.ns += round(self._nodes * NODE_MS * 1e6)
        return found


def timed_by_work(monkeypatch: pytest.MonkeyPatch) -> WorkClock:
    """Has real sessions timed by their nodes, until the test ends."""
    clock, opened = WorkClock(), timed_turns.timing_session

    def session(path: Path, **options: Any) -> Working:
        return Working(opened(path, **options), len(onnx.load(path).graph.node), clock)

    monkeypatch.setattr(timed_turns, "time", clock)
    monkeypatch.setattr(timed_turns, "timing_session", session)
    by_the_clock = partial(paired_latency, clock_s=clock.monotonic)
    monkeypatch.setattr(check_latency, "paired_latency", by_the_clock)
    return clock
