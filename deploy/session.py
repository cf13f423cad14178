"""A model measured on a device, and what the device is: the agent is run, its word checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from .agent.errors import AgentError
from .agent.protocol import Request, checked, request_line
from .errors import DeviceError, RequestError
from .measurement import Measurement, measurement_from
from .target import parse_target
from .transport import Transport, transport_to
from .wire import Failure, Probed, Progress, Result, event_from

__all__ = ["Measurement", "probe", "profile"]

OnProgress: TypeAlias = Callable[[dict[str, str | float]], None]
PATIENCE_S = 300.0  # the longest silence borne: loading a model, or a single inference of it


def profile(
    model: Path,
    *,
    target: str = "local",
    engine: str = "onnxruntime",
    provider: str = "CPUExecutionProvider",
    batch: int = 1,
    threads: int | None = None,
    seconds: float = 2.0,
    min_runs: int = 200,
    warmup_seconds: float = 0.5,
    max_seconds: float = 600.0,
    seed: int = 0,
    on_progress: OnProgress | None = None,
    patience_s: float = PATIENCE_S,
) -> Measurement:
    """Latency, throughput and, where a meter is readable, energy of `model` on `target`.

    At least `min_runs` timed runs and `seconds` after a warm-up that settles. `on_progress` gets
    {phase: idle | load | warm-up | timing, done, total, unit}.

    Raises:
        TargetError: no such device.
        RequestError: the model or a setting cannot be used.
        DeviceError: the device or its runtime is missing, or the agent failed.
    """
    reached = parse_target(target)
    if not model.is_file():
        raise RequestError(f"no model file {model}")
    with model.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    with transport_to(reached) as transport:
        request = Request(
            model=transport.place(model),
            engine=engine,
            provider=provider,
            batch=batch,
            threads=threads,
            warmup_seconds=warmup_seconds,
            seconds=seconds,
            min_runs=min_runs,
            max_seconds=max_seconds,
            seed=seed,
        )
        _check(request)
        heard = _answer(transport, ["bench", "-"], request_line(request), on_progress, patience_s)
    if not isinstance(heard, Result):
        raise DeviceError(f"the agent answered with {heard.event!r} when asked to measure")
    if heard.model.sha256 != sha256:
        raise DeviceError(f"the agent measured another file than {model}: its sha256 differs")
    if heard.request != asdict(request) or heard.runs < min_runs:
        raise DeviceError("the agent measured something else than it was asked to")
    return measurement_from(heard, target=reached.name, batch=batch, threads=threads)


def probe(target: str = "local", *, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """What the device is, what it can measure, and what could not be read; deploy/wire.py, Board.

    Raises:
        TargetError: no such device.
        DeviceError: the agent cannot be run there, or failed.
    """
    with transport_to(parse_target(target)) as transport:
        heard = _answer(transport, ["probe"], "", None, patience_s)
    if not isinstance(heard, Probed):
        raise DeviceError(f"the agent answered with {heard.event!r} when asked what the device is")
    return heard.board.model_dump()


def _answer(
    transport: Transport,
    arguments: Sequence[str],
    request: str,
    on_progress: OnProgress | None,
    patience_s: float,
) -> Result | Probed:
    """The agent's last line, every line before it checked as well."""
    with transport.start(arguments, request) as agent:
        for line in agent.lines(patience_s):
            if not line.endswith(b"\n"):
                break  # it died in the middle of a word
            event = event_from(line)
            if isinstance(event, Failure):
                kind = RequestError if event.kind == "request" else DeviceError
                raise kind(event.message)
            if not isinstance(event, Progress):
                return event
            if on_progress is not None:
                on_progress(event.model_dump(include={"phase", "done", "total", "unit"}))
        raise DeviceError(f"the agent ended without a result: it {agent.last_words()}")


def _check(request: Request) -> None:
    """What the agent would refuse is refused here, before anything is started."""
    try:
        checked(asdict(request))
    except AgentError as error:
        raise RequestError(str(error)) from None
