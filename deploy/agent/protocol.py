"""What goes in and out of the agent: one request, then lines of JSON with the protocol's number.

Out, one object a line on stdout:
    progress  {phase, done, total, unit}       any number of times
    then one of
    result    a measurement (bench.py)
    board     what the machine is (board.py)
    error     {kind, message}                  kind: request | missing | device
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from .errors import AgentError

PROTOCOL = 1


@dataclass(frozen=True)
class Request:
    """One measurement: which file, in which runtime, for how long."""

    model: str
    """Path of the model, as the device sees it."""
    engine: str = "onnxruntime"
    provider: str = "CPUExecutionProvider"
    """Where the engine must run; anything else it falls back to is an error."""
    batch: int = 1
    threads: int | None = None
    """Threads inside an operator; None leaves it to the engine."""
    warmup_seconds: float = 0.5
    """Shortest warm-up; it goes on until the time per run settles, at most ten times as long."""
    seconds: float = 2.0
    """Shortest timed window."""
    min_runs: int = 200
    """Fewest timed runs; the window is lengthened until it holds them."""
    max_seconds: float = 600.0
    """Longest timed window; a model too slow for `min_runs` within it is refused."""
    idle_seconds: float = 1.0
    """Length of the idle baseline, taken only where energy can be read."""
    seed: int = 0
    """Of the random input."""


# field: (type, lowest, highest); the fields that are not here are texts
LIMITS = {
    "batch": (int, 1, 65536),
    "threads": (int, 1, 4096),
    "warmup_seconds": (float, 0, 600),
    "seconds": (float, 0, 3600),
    "min_runs": (int, 1, 1000000),
    "max_seconds": (float, 0.001, 36000),
    "idle_seconds": (float, 0.01, 600),
    "seed": (int, 0, 2**32 - 1),
}


def parse_request(text: str) -> Request:
    """The request that `text`, one JSON object, holds.

    >>> parse_request('{"model": "m.onnx", "batch": 4}').batch
    4

    Raises:
        AgentError: kind `request`; the text is no JSON object, or a key or value cannot be used.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AgentError("request", f"the request is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise AgentError("request", f"the request must be a JSON object, not {_name(given)}")
    return checked(given)


def checked(given: dict[str, Any]) -> Request:
    """The request with these fields. Raises AgentError as `parse_request`."""
    known = [field.name for field in fields(Request)]
    for key, value in given.items():
        if key not in known:
            raise AgentError("request", f"unknown key {key!r}; known: {', '.join(known)}")
        _check(key, value)
    if "model" not in given:
        raise AgentError("request", "the request names no model")
    return Request(**given)


def request_line(request: Request) -> str:
    """The request as one line of JSON, newline included."""
    return json.dumps(asdict(request), allow_nan=False) + "\n"


def event_line(event: str, content: dict[str, Any]) -> str:
    """One line for stdout, newline included.

    >>> event_line("error", {"kind": "device", "message": "gone"})
    '{"protocol": 1, "event": "error", "kind": "device", "message": "gone"}\\n'
    """
    line = {"protocol": PROTOCOL, "event": event, **content}
    # NaN and infinity are no JSON: better a failure here than a line that nobody can read.
    return json.dumps(line, allow_nan=False) + "\n"


def _check(key: str, value: object) -> None:
    if key not in LIMITS:
        if not isinstance(value, str) or not value:
            raise AgentError("request", f"{key} must be text, not {_name(value)}")
        return
    if key == "threads" and value is None:
        return
    kind, lowest, highest = LIMITS[key]
    accepted = (int, float) if kind is float else (int,)
    # bool is an int in Python, and True is no number of threads.
    if isinstance(value, bool) or not isinstance(value, accepted):
        wanted = "a number" if kind is float else "a whole number"
        raise AgentError("request", f"{key} must be {wanted}, not {_name(value)}")
    if not lowest <= value <= highest:  # NaN fails this, too
        raise AgentError("request", f"{key} is {value}; allowed: {lowest} to {highest}")


def _name(value: object) -> str:
    return "null" if value is None else f"{type(value).__name__} {value!r}"
