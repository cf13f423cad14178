"""Rounds in which a model, its baseline and the baseline again take turns in ONNX Runtime.

A turn is the three in random order and then in the reverse order, so a machine that slows down
steadily slows all of them alike. A slot in it is one call that nobody times, since the caches
belong to the model before, and then calls for 5 ms. Each round opens its sessions anew: two
sessions of one file may differ for as long as they live, by where their memory happens to lie.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from .paired_latency import FEWEST_ROUNDS, Round
from .runtime import refused, runtime_errors
from .targets import session_settings

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

    Feeds = Mapping[str, NDArray[Any]]

SLOT_S = 0.005
ROUND_SHARE = 1 / 100
"""Least share of all the time that a round's turns take."""
DEAR = 1 / 20
"""Share of all the time that opening the sessions may take for each round; else they are kept."""
CALLS_IN_A_TURN = 12
"""Three models, two slots each, two calls a slot at least."""
MODELS = ("baseline", "baseline again", "candidate")


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One inference in one slot."""

    ratio_ns: float
    """By the clock that ratios are taken of."""
    wall_ns: float


@dataclass(kw_only=True)
class Turns:
    """The three models on one input each; `round` times one round.

    With one thread the ratios are those of the thread's processor time: what an inference takes
    without the waits for other programs. With more they are those of the clock on the wall.
    """

    baseline: Path
    candidate: Path
    baseline_feeds: Feeds
    candidate_feeds: Feeds
    threads: int
    target: str | None
    seconds: float
    seed: int = 0
    _sessions: dict[str, InferenceSession] = field(default_factory=dict)
    _opening_s: float = 0.0
    _calls: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._chance = Random(self.seed)
        self._ratio_clock_ns = clock_for(self.threads)

    def round(self) -> Round:
        """Fresh sessions, and turns for a hundredth of the time or for as long as opening took."""
        self._open()
        ratios: list[float] = []
        controls: list[float] = []
        walls: dict[str, list[float]] = {name: [] for name in MODELS}
        with _no_collection():
            end = time.monotonic() + max(ROUND_SHARE * self.seconds, self._opening_s)
            while not ratios or time.monotonic() < end:
                turn = self._turn()
                first, again, own = (_log_mean(turn[name]) for name in MODELS)
                ratios.append(own - (first + again) / 2)
                controls.append(again - first)
                for name, slots in turn.items():
                    walls[name] += [slot.wall_ns for slot in slots]
        return Round(
            log_ratio=statistics.median(ratios),
            log_control=statistics.median(controls),
            baseline_ms=statistics.median(walls["baseline"] + walls["baseline again"]) / 1e6,
            candidate_ms=statistics.median(walls["candidate"]) / 1e6,
        )

    def _turn(self) -> dict[str, list[Timed]]:
        order = self._chance.sample(MODELS, len(MODELS))
        times: dict[str, list[Timed]] = {name: [] for name in MODELS}
        for name in (*order, *reversed(order)):
            times[name].append(self._slot(name))
        return times

    def _slot(self, name: str) -> Timed:
        session, feeds, calls = self._sessions[name], self._feeds(name), self._calls[name]
        wall_ns = time.perf_counter_ns
        session.run(None, feeds)
        walls = []
        begun = self._ratio_clock_ns()
        before = wall_ns()
        for _ in range(calls):
            session.run(None, feeds)
            after = wall_ns()
            walls.append(after - before)
            before = after
        whole = self._ratio_clock_ns() - begun
        wall = statistics.median(walls)
        # Processor time has no interruptions in it, so the mean is the steadier; the wall's has.
        return Timed(ratio_ns=whole / calls if self.threads == 1 else wall, wall_ns=wall)

    def _open(self) -> None:
        if self._sessions and self._opening_s > DEAR * self.seconds:
            return
        self._sessions.clear()
        begun = time.monotonic()
        for name in self._chance.sample(MODELS, len(MODELS)):
            path = self.candidate if name == "candidate" else self.baseline
            self._sessions[name] = timing_session(path, threads=self.threads, target=self.target)
            self._run(name)  # memory is taken in the first call
        self._opening_s = time.monotonic() - begun
        if not self._calls:
            self._count_calls()

    def _count_calls(self) -> None:
        """Calls that take 5 ms; `TooSlow` if not even four rounds of one turn are to be had."""
        took = {name: min(self._run(name) for _ in range(3)) for name in MODELS}
        longest = max(took.values())
        if FEWEST_ROUNDS * CALLS_IN_A_TURN * longest > self.seconds:
            raise TooSlow(
                f"one inference takes {longest:.2g} s, {FEWEST_ROUNDS} rounds"
                f" {FEWEST_ROUNDS * CALLS_IN_A_TURN * longest:.0f} s and more,"
                f" and the contract gives {self.seconds:g} s"
            )
        self._calls = {name: max(1, math.ceil(SLOT_S / once)) for name, once in took.items()}

    def _run(self, name: str) -> float:
        """Seconds of one call; `BadInput` if the model fails."""
        begun = time.perf_counter()
        try:
            self._sessions[name].run(None, self._feeds(name))
        except runtime_errors() as error:
            path = self.candidate if name == "candidate" else self.baseline
            raise refused(f"{path}: the model fails", error) from error
        return time.perf_counter() - begun

    def _feeds(self, name: str) -> Feeds:
        return self.candidate_feeds if name == "candidate" else self.baseline_feeds


class TooSlow(Exception):
    """There is no time for four rounds."""


def timing_session(path: Path, *, threads: int, target: str | None) -> InferenceSession:
    """A session on the CPU whose threads sleep between its calls; `BadInput` if it cannot be.

    By default they spin for a while after a call, on the cores that the next model is timed on.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    for name, value in session_settings(target).items():
        options.add_session_config_entry(name, value)
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return ort.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except runtime_errors() as error:
        raise refused(f"{path}: ONNX Runtime does not load it", error) from error


def clock_for(threads: int) -> Callable[[], int]:
    """A clock in ns: processor time of this thread, where one thread does all of the work."""
    fine = time.get_clock_info("thread_time").resolution <= 1e-6  # Windows' ticks are 16 ms
    return time.thread_time_ns if threads == 1 and fine else time.perf_counter_ns


def _log_mean(slots: list[Timed]) -> float:
    return statistics.fmean(math.log(slot.ratio_ns) for slot in slots)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A garbage collection inside of a call would be counted as the model's."""
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
