"""What goes in and out of the agent: one request, then lines of JSON with the protocol's number.

In, on stdin after the request, while it is at work: an empty line every few seconds says that the
asking side is still there, `done` that it has the result (then the journal of the job is removed).

Out, one object a line on stdout:
    progress  {phase, done, total, unit}       any number of times
    slice     one timed window of one case     cases x rounds of them (slices.py)
    then one of
    result    a measurement (bench.py)
    board     what the machine is (board.py)
    error     {kind, message}                  kind: request | missing | device | refused
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Sequence

from .errors import AgentError

PROTOCOL = 3
ENGINES = ("onnxruntime", "tensorrt", "trtexec")
PRECISIONS = ("as-file", "fp32", "fp16", "int8")


@dataclass(frozen=True)
class Case:
    """One model under one setting of an engine."""

    model: str
    """Path of the model, as the device sees it."""
    label: str = ""
    """What the figures are to be called."""
    engine: str = "onnxruntime"
    """One of ENGINES."""
    provider: str = ""
    """ONNX Runtime's execution provider; anything else it falls back to is an error. Empty: the
    engine's own (CPUExecutionProvider)."""
    batch: int = 1
    threads: int | None = None
    """Threads inside an operator, of engines on the CPU; None leaves it to the engine."""
    precision: str = "as-file"
    """One of PRECISIONS: the model's own types, or what TensorRT is told to use besides them."""
    dla_core: int | None = None
    """The deep-learning accelerator that TensorRT builds for; None: the GPU."""


@dataclass(frozen=True)
class Request:
    """One measurement: which cases, in how many rounds, for how long, under which board setting."""

    cases: Sequence[Case]
    yardstick: Case | None = None
    """Timed briefly before and after each window of the others (yardstick.py)."""
    rounds: int = 1
    """The cases take turns: one timed window of each a round."""
    warmup_seconds: float = 0.5
    """Shortest warm-up; it goes on until the time per run settles, at most ten times as long."""
    seconds: float = 2.0
    """Shortest time that each case is timed for, over all rounds."""
    min_runs: int = 200
    """Fewest timed runs of each case, over all rounds; windows are lengthened until they hold."""
    max_seconds: float = 600.0
    """Longest timed window; a model too slow for its runs within it is refused."""
    idle_seconds: float = 1.0
    """Length of the idle baseline, taken only where energy can be read."""
    seed: int = 0
    """Of the random input."""
    layers: bool = False
    """Whether each case is also run layer by layer, after its timed windows."""
    power_mode: str | None = None
    """Set for the measurement and set back after it; None leaves the board as it is."""
    lock_clocks: bool = False
    """Whether clocks are pinned for the measurement and released after it."""
    strict: bool = False
    """Whether a measurement that is not to be trusted is refused instead of flagged."""
    job: str | None = None
    """Hexadecimal; a call with the same job goes on where an earlier one was cut off."""
    state_dir: str | None = None
    """Where journals and built engines are kept; None: nothing is kept."""


# field: (type, lowest, highest); the fields that are not here are texts, switches or cases
LIMITS = {
    "rounds": (int, 1, 1000),
    "batch": (int, 1, 65536),
    "threads": (int, 1, 4096),
    "dla_core": (int, 0, 15),
    "warmup_seconds": (float, 0, 600),
    "seconds": (float, 0, 3600),
    "min_runs": (int, 1, 1000000),
    "max_seconds": (float, 0.001, 36000),
    "idle_seconds": (float, 0.01, 600),
    "seed": (int, 0, 2**32 - 1),
}
SWITCHES = ("layers", "lock_clocks", "strict")
CHOICES = {"engine": ENGINES, "precision": PRECISIONS}
OPTIONAL = ("threads", "dla_core", "power_mode", "job", "state_dir")
MAY_BE_EMPTY = ("label", "provider")
MOST_CASES = 256


def parse_request(text: str) -> Request:
    """The request that `text`, one JSON object, holds.

    >>> parse_request('{"cases": [{"model": "m.onnx", "batch": 4}]}').cases[0].batch
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
    cases = given.get("cases")
    if not isinstance(cases, (list, tuple)) or not cases:
        example = '"cases": [{"model": "model.onnx"}]'
        raise AgentError("request", f"the request names no model; expected {example}")
    if len(cases) > MOST_CASES:
        raise AgentError("request", f"{len(cases)} cases; at most {MOST_CASES} at once")
    _check_all(given, Request, skip=("cases", "yardstick"))
    yardstick = given.get("yardstick")
    return Request(
        **{
            **given,
            "cases": tuple(_case(case) for case in cases),
            "yardstick": None if yardstick is None else _case(yardstick, "the yardstick"),
        }
    )


def request_line(request: Request) -> str:
    """The request as one line of JSON, newline included."""
    return json.dumps(asdict(request), allow_nan=False) + "\n"


def event_line(event: str, content: dict[str, Any]) -> str:
    """One line for stdout, newline included.

    >>> event_line("error", {"kind": "device", "message": "gone"})
    '{"protocol": 3, "event": "error", "kind": "device", "message": "gone"}\\n'
    """
    line = {"protocol": PROTOCOL, "event": event, **content}
    # NaN and infinity are no JSON: better a failure here than a line that nobody can read.
    return json.dumps(line, allow_nan=False) + "\n"


def _case(given: object, called: str = "a case") -> Case:
    if not isinstance(given, dict):
        raise AgentError("request", f"{called} must be a JSON object, not {_name(given)}")
    _check_all(given, Case)
    if "model" not in given:
        raise AgentError("request", f"{called} names no model")
    return Case(**given)


def _check_all(given: dict[str, Any], kind: Any, skip: Sequence[str] = ()) -> None:
    known = [field.name for field in fields(kind)]
    for key, value in given.items():
        if key not in known:
            raise AgentError("request", f"unknown key {key!r}; known: {', '.join(known)}")
        if key not in skip:
            _check(key, value)


def _check(key: str, value: object) -> None:
    if value is None and key in OPTIONAL:
        return
    if key in LIMITS:
        _check_number(key, value)
    elif key in SWITCHES:
        if not isinstance(value, bool):
            raise AgentError("request", f"{key} must be true or false, not {_name(value)}")
    elif not isinstance(value, str) or not (value or key in MAY_BE_EMPTY):
        raise AgentError("request", f"{key} must be text, not {_name(value)}")
    elif value not in CHOICES.get(key, (value,)):
        known = ", ".join(CHOICES[key])
        raise AgentError("request", f"unknown {key} {value!r}; known: {known}")
    elif key == "job" and not re.match(r"^[0-9a-f]{8,64}$", value):
        raise AgentError("request", f"job must be 8 to 64 hexadecimal digits, not {value!r}")


def _check_number(key: str, value: object) -> None:
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
