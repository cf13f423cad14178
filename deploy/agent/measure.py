"""The cases of a request: idle baseline, each loaded and warmed up, timed windows in turns.

Latency is host time around one inference, on a monotonic clock; all samples are kept, and beside
them the device's own time where the runtime has events. Throughput is images over the windows, so
it carries the loop's own cost too. Energy is that of the windows over their runs; load, warm-up,
yardstick and idle time are outside it.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

from .board import board, conditions
from .energy import Energy
from .engine import Engine
from .engines import worker_of
from .errors import AgentError
from .journal import Journal
from .model_file import fingerprint
from .programs import Programs
from .protocol import Case, Request
from .slices import figures, slice_of
from .timing import WarmUp
from .trust import flag, flags
from .yardstick import Yardstick

Say = Callable[[str, "dict[str, Any]"], None]
"""Takes an event's name and its content."""
AGAIN = 0.2
"""Of the warm-up, before each further window of a case: the others have used the caches since. A
yardstick is read in between, a hundredth of a second of a small model."""


@dataclass
class _Open:
    """A case with its engine at work."""

    case: Case
    engine: Engine
    model: dict[str, Any]
    load_ns: int
    first_ns: int
    warm: WarmUp


class Measured:
    """The measurement on a board that is set."""

    def __init__(
        self,
        request: Request,
        say: Say,
        root: Path,
        clock_ns: Callable[[], int],
        sleep: Callable[[float], None],
    ) -> None:
        self.journal = Journal(None, None, {})
        self._request = request
        self._say = say
        self._root = root
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._slices: list[dict[str, Any]] = []
        self._timed_s = 0.0
        self._yardstick: Yardstick | None = None

    def run(
        self, open_engine: Callable[[Case, Request, Path], Engine], state_dir: Path | None
    ) -> dict[str, Any]:
        request = self._request
        facts = board(self._root)
        models = [fingerprint(Path(case.model)) for case in request.cases]
        beside = request.yardstick
        yardstick_model = None if beside is None else fingerprint(Path(beside.model))
        before = conditions(self._root)
        origin_ns = self._clock_ns()
        with ExitStack() as stack:
            workers = {worker_of(case) for case in request.cases}
            energy = Energy(self._root, Programs(self._root), self._clock_ns, workers)
            stack.callback(energy.close)
            energy.measure_idle(request.idle_seconds, self._sleep, self._idling)
            opened = []
            for number, (case, model) in enumerate(zip(request.cases, models)):
                self._progress("load", number, len(models), "models")
                engine = open_engine(case, request, self._root)
                stack.callback(engine.close)
                with _named(case):
                    opened.append(self._opened(case, engine, model))
            if beside is not None and yardstick_model is not None:
                self._progress("load", len(models), len(models), "models")
                engine = open_engine(beside, request, self._root)
                stack.callback(engine.close)
                self._yardstick = Yardstick(engine, self._clock_ns, request.max_seconds)
                with _named(beside):
                    self._yardstick.open(request.warmup_seconds)
            self._go_on(opened, yardstick_model, before, facts, state_dir)
            for turn, number in order(len(opened), request.rounds):
                if not any((s["case"], s["round"]) == (number, turn) for s in self._slices):
                    self._window(turn, number, opened[number], energy, origin_ns)
            after = conditions(self._root)
            layers = [self._layers(*numbered) for numbered in enumerate(opened)]
            meter, power = energy.summary(), energy.trace(origin_ns)
        cases = [self._case(*numbered) for numbered in enumerate(zip(opened, layers))]
        return {
            "request": asdict(request),
            "cases": cases,
            "yardstick": yardstick_model,
            "energy": meter,
            "power": power,
            "conditions": {"before": before, "after": after},
            "board": facts,
            "earlier_slices": len(self.journal.slices),
            "flags": self._flags(before, after, facts, cases),
        }

    def _go_on(
        self,
        opened: list[_Open],
        yardstick_model: dict[str, Any] | None,
        before: dict[str, Any],
        facts: dict[str, Any],
        state_dir: Path | None,
    ) -> None:
        """Takes over what an earlier call measured of the same files in the same runtimes."""
        head = {
            "request": asdict(self._request),
            "board": facts["fingerprint"],
            "models": [each.model for each in opened],
            "yardstick": yardstick_model,
            "engines": [[each.engine.version, each.engine.provider] for each in opened],
        }
        self.journal = Journal(state_dir, self._request.job, head)
        self.journal.begin(before)
        for kept in self.journal.slices:
            self._take({**kept, "earlier": True})

    def _layers(self, number: int, opened: _Open) -> list[dict[str, Any]] | None:
        if not self._request.layers:
            return None
        self._progress("layers", number, len(self._request.cases), "models")
        return opened.engine.layers()

    def _flags(
        self,
        before: dict[str, Any],
        after: dict[str, Any],
        facts: dict[str, Any],
        cases: list[dict[str, Any]],
    ) -> list[dict[str, Any]]:
        """Of this call, and of what the board did while earlier calls measured."""
        found = flags(before, after, board=facts, cases=cases, seconds=self._request.seconds)
        for was, became in self.journal.calls:
            told = {each["kind"] for each in found}
            earlier = flags(was, became, board=facts, cases=[])
            found += [each for each in earlier if each["kind"] not in told]
        if self.journal.trouble is not None:
            found.append(flag("not-kept", self.journal.trouble))
        return found

    def _opened(self, case: Case, engine: Engine, model: dict[str, Any]) -> _Open:
        start = self._clock_ns()
        engine.load()
        load_ns = self._clock_ns() - start
        engine.feed()
        start = self._clock_ns()
        engine.run()
        first_ns = self._clock_ns() - start
        warm = engine.warm_up(self._clock_ns, self._request.warmup_seconds, self._warming)
        self._refuse_too_slow(case, warm.typical_ns or first_ns)
        return _Open(case, engine, model, load_ns, first_ns, warm)

    def _window(
        self, turn: int, number: int, opened: _Open, energy: Energy, origin_ns: int
    ) -> None:
        """Take one slice, and keep it before anything else can go wrong."""
        request, rounds = self._request, self._request.rounds
        if len(request.cases) > 1:
            opened.engine.warm_up(
                self._clock_ns, AGAIN * request.warmup_seconds, lambda runs, seconds: None
            )
        taken_s = self._timed_s
        yardstick_ns = [self._yardstick.read_ns()] if self._yardstick else None

        def tick(_runs: int, seconds: float) -> None:
            energy.tick()
            self._timing(taken_s + seconds)

        window = opened.engine.window(
            self._clock_ns,
            seconds=request.seconds / rounds,
            min_runs=-(-request.min_runs // rounds),
            max_seconds=request.max_seconds,
            begin=energy.begin,
            tick=tick,
        )
        read = energy.end(window.stop_ns)
        if self._yardstick and yardstick_ns:
            yardstick_ns.append(self._yardstick.read_ns())
        if len(window.samples_ns) * rounds < request.min_runs:
            raise AgentError(
                "device",
                f"{opened.case.label or opened.case.model}: only {len(window.samples_ns)} of"
                f" {-(-request.min_runs // rounds)} runs fitted into {request.max_seconds:g} s:"
                " the device slowed down while it was measured",
            )
        idle_mw = energy.summary()["idle_power_mw"]
        if read is not None:
            read["idle_mj"] = None if idle_mw is None else idle_mw * window.seconds
        taken = slice_of(number, turn, window, origin_ns, read, yardstick_ns)
        self.journal.add(taken, conditions(self._root))
        self._take({**taken, "earlier": False})
        self._timing(self._timed_s)

    def _take(self, taken: dict[str, Any]) -> None:
        self._slices.append(taken)
        self._timed_s += taken["stop_s"] - taken["start_s"]
        self._say("slice", taken)

    def _case(
        self, number: int, found: tuple[_Open, list[dict[str, Any]] | None]
    ) -> dict[str, Any]:
        """All that the result says of one case."""
        opened, layers = found
        engine, warm = opened.engine, opened.warm
        mine = sorted((s for s in self._slices if s["case"] == number), key=lambda s: s["round"])
        return {
            "label": opened.case.label,
            "engine": {
                "name": engine.name,
                "version": engine.version,
                "provider": engine.provider,
                "facts": engine.facts,
            },
            "model": opened.model,
            "load_ms": opened.load_ns / 1e6,
            "first_ms": opened.first_ns / 1e6,
            "warmup": {"runs": warm.runs, "seconds": warm.seconds, "settled": warm.settled},
            **figures(mine, opened.case.batch),
            "layers": layers,
        }

    def _refuse_too_slow(self, case: Case, run_ns: float) -> None:
        request = self._request
        runs = -(-request.min_runs // request.rounds)
        needed_s = runs * run_ns / 1e9
        if needed_s > request.max_seconds:
            raise AgentError(
                "request",
                f"{case.label or case.model}: a run takes {run_ns / 1e6:.3g} ms: {runs} runs need"
                f" {needed_s:.3g} s, more than the {request.max_seconds:g} s (max_seconds) that a"
                " window may take; ask for fewer runs",
            )

    def _progress(self, phase: str, done: float, total: float, unit: str) -> None:
        self._say("progress", {"phase": phase, "done": done, "total": total, "unit": unit})

    def _idling(self, seconds: float) -> None:
        self._progress("idle", seconds, self._request.idle_seconds, "seconds")

    def _warming(self, _runs: int, seconds: float) -> None:
        wanted = self._request.warmup_seconds
        self._progress("warm-up", min(seconds, wanted), wanted, "seconds")

    def _timing(self, seconds: float) -> None:
        planned = self._request.seconds * len(self._request.cases)
        self._progress("timing", seconds, max(planned, seconds), "seconds")


@contextmanager
def _named(case: Case) -> Iterator[None]:
    """An error within the block is told with the case's label."""
    try:
        yield
    except AgentError as error:
        if not case.label or case.label in str(error):
            raise
        raise AgentError(error.kind, f"{case.label}: {error}") from error


def order(cases: int, rounds: int) -> list[tuple[int, int]]:
    """(round, case) in running order: there and back, so that a slow drift hits all cases alike.

    >>> order(2, 2)
    [(0, 0), (0, 1), (1, 1), (1, 0)]
    """
    there = list(range(cases))
    return [(turn, case) for turn in range(rounds) for case in (there[::-1] if turn % 2 else there)]
