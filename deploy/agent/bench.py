"""One measurement: idle baseline, load, first run, warm-up, timed window, and what surrounds it.

Latency is host time around one inference, on a monotonic clock; all samples are kept. Throughput is
images over the whole window, so it carries the loop's own cost too. Energy is that of the window
over its runs; load, warm-up and idle time are outside it.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Protocol

from .board import board, conditions
from .energy import Energy
from .errors import AgentError
from .protocol import Request
from .stats import UNSTABLE_SPREAD, drift, spread, summary_ms
from .timing import MAX_RUNS, WarmUp, Window, timed_window, warm_up

NOTABLE_DRIFT = 0.05
Tell = Callable[[str, float, float, str], None]  # phase, done, total, unit


class Engine(Protocol):
    """A runtime that is installed here, opened for one request; its verbs are called in order."""

    name: str
    version: str
    provider: str

    def load(self) -> None:
        """Open the model."""

    def feed(self) -> None:
        """Make its input."""

    def run(self) -> None:
        """One inference; returns when its outputs are complete in host memory."""


def bench(
    request: Request,
    tell: Tell,
    root: Path = Path("/"),
    open_engine: Callable[[Request], Engine] | None = None,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """The content of a `result` line.

    Raises:
        AgentError: the model cannot be loaded or run as asked, or is too slow for the runs asked.
    """
    open_engine = open_engine or engine_opener(request.engine)
    before = conditions(root)
    energy = Energy(root)

    def idling(seconds: float) -> None:
        tell("idle", seconds, request.idle_seconds, "seconds")

    energy.measure_idle(request.idle_seconds, clock_ns, sleep, idling)
    tell("load", 0, 1, "models")
    engine = open_engine(request)
    start = clock_ns()
    engine.load()
    load_ns = clock_ns() - start
    engine.feed()
    start = clock_ns()
    engine.run()
    first_ns = clock_ns() - start

    def warming(_runs: int, seconds: float) -> None:
        tell("warm-up", min(seconds, request.warmup_seconds), request.warmup_seconds, "seconds")

    warm = warm_up(engine.run, clock_ns, request.warmup_seconds, warming)
    _refuse_too_slow(request, warm.typical_ns or first_ns)

    def timing(runs: int, seconds: float) -> None:
        energy.tick()
        expected = max(request.min_runs, runs, round(runs * request.seconds / seconds))
        tell("timing", runs, expected, "runs")

    window = timed_window(
        engine.run,
        clock_ns,
        seconds=request.seconds,
        min_runs=request.min_runs,
        max_seconds=request.max_seconds,
        begin=energy.begin,
        tick=timing,
    )
    used = energy.end(len(window.samples_ns), window.seconds)
    samples = window.samples_ns
    if len(samples) < request.min_runs:
        raise AgentError(
            "device",
            f"only {len(samples)} of {request.min_runs} runs fitted into {request.max_seconds:g} s:"
            " the device slowed down while it was measured",
        )
    tell("timing", len(samples), len(samples), "runs")
    facts = board(root)
    result = {
        "request": asdict(request),
        "engine": {"name": engine.name, "version": engine.version, "provider": engine.provider},
        "model": fingerprint(Path(request.model)),
        "load_ms": load_ns / 1e6,
        "first_ms": first_ns / 1e6,
        "warmup": {"runs": warm.runs, "seconds": warm.seconds, "settled": warm.settled},
        "runs": len(samples),
        "window_s": window.seconds,
        "latency_ms": summary_ms(samples),
        "spread": spread(samples),
        "drift": drift(samples),
        "throughput_per_s": request.batch * len(samples) / window.seconds,
        "energy": used,
        "conditions": {"before": before, "after": facts["conditions"]},
        "board": facts,
        "samples_ns": samples,
    }
    result["notes"] = notes(request, warm, window, before, facts)
    return result


def engine_opener(name: str) -> Callable[[Request], Engine]:
    """What opens the engine of that name. Raises AgentError: no such engine."""
    # Imported here: each engine needs a package of its own, and a device has some of them only.
    if name == "onnxruntime":
        from .engine_onnxruntime import OnnxRuntime

        return OnnxRuntime
    raise AgentError("request", f"unknown engine {name!r}; known: onnxruntime")


def fingerprint(path: Path) -> dict[str, Any]:
    """Size and sha256 of the model, so that the numbers stay tied to one file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
            size += len(chunk)
    return {"sha256": digest.hexdigest(), "bytes": size}


def notes(
    request: Request,
    warm: WarmUp,
    window: Window,
    before: dict[str, Any],
    facts: dict[str, Any],
) -> list[str]:
    """What a reader must know before believing the numbers, one sentence each."""
    found = []
    if not warm.settled:
        found.append(f"the time per run had not settled after {warm.seconds:.1f} s of warm-up")
    varied = spread(window.samples_ns)
    if varied > UNSTABLE_SPREAD:
        found.append(f"unstable: the spread is {varied:.1%} (above {UNSTABLE_SPREAD:.1%})")
    moved = drift(window.samples_ns)
    if abs(moved) > NOTABLE_DRIFT:
        change = "slower" if moved > 0 else "faster"
        found.append(f"the second half of the window was {abs(moved):.0%} {change} than the first")
    if window.seconds < request.seconds:
        found.append(f"stopped at {MAX_RUNS} runs, after {window.seconds:.1f} s")
    load, cores = before["load_average"], facts["cpu"]["cores_online"]
    if load and cores and load[0] > 0.5 * cores:
        found.append(f"other work was running: load {load[0]:.1f} on {cores} cores at the start")
    governor = facts["cpu"]["governor"]
    if governor not in (None, "performance"):
        found.append(f"clocks are not pinned: the governor is {governor}")
    return found


def _refuse_too_slow(request: Request, run_ns: float) -> None:
    needed_s = request.min_runs * run_ns / 1e9
    if needed_s > request.max_seconds:
        raise AgentError(
            "request",
            f"a run takes {run_ns / 1e6:.3g} ms: {request.min_runs} runs need {needed_s:.3g} s,"
            f" more than max_seconds {request.max_seconds:g}; ask for fewer runs or more time",
        )
