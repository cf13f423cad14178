"""What may come from an agent, field by field: nothing is used before it has this shape.

The agent runs elsewhere and may be of another version, broken or not an agent at all. Numbers are
finite and in range, no key is missing or unknown; results.py computes again what can be.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    Field,
    JsonValue,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from .agent.protocol import PROTOCOL
from .errors import DeviceError
from .record import Plain, Record, Text
from .wire_board import Board, Conditions

Count: TypeAlias = Annotated[int, Field(ge=0)]


class Engine(Record):
    name: Text
    version: Text
    provider: Text
    facts: dict[Text, Plain]


class Model(Record):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: PositiveInt


class WarmUp(Record):
    runs: Count
    seconds: NonNegativeFloat
    settled: bool


class Latency(Record):
    p50: PositiveFloat
    p90: PositiveFloat
    p95: PositiveFloat
    p99: PositiveFloat
    mean: PositiveFloat
    min: PositiveFloat
    max: PositiveFloat


class Reading(Record):
    """What the meter counted in one window."""

    used_mj: PositiveFloat
    samples: PositiveInt
    bound_mj: NonNegativeFloat
    rails_mj: dict[Text, float]
    idle_mj: NonNegativeFloat | None


class Energy(Record):
    """Of one inference, over all windows of a case."""

    energy_mj: PositiveFloat
    above_idle_mj: float | None
    bound_mj: NonNegativeFloat
    power_mw: PositiveFloat
    samples: PositiveInt
    rails_mj: dict[Text, float]


class Meter(Record):
    readable: bool
    source: Text
    rule: Text | None
    idle_power_mw: NonNegativeFloat | None
    idle_samples: Count


class Power(Record):
    t_s: list[float]
    mw: list[float]

    @model_validator(mode="after")
    def as_many_times_as_values(self) -> Self:
        if len(self.t_s) != len(self.mw):
            raise ValueError(f"{len(self.t_s)} times, but {len(self.mw)} values")
        return self


class Layer(Record):
    name: Text
    ms: NonNegativeFloat
    provider: Text | None = None


class CaseResult(Record):
    label: Text
    engine: Engine
    model: Model
    load_ms: PositiveFloat
    first_ms: PositiveFloat
    warmup: WarmUp
    runs: PositiveInt
    window_s: PositiveFloat
    latency_ms: Latency
    device_ms: Latency | None
    spread: NonNegativeFloat
    drift: float
    throughput_per_s: PositiveFloat
    energy: Energy | None
    layers: list[Layer] | None


class BeforeAfter(Record):
    before: Conditions
    after: Conditions


class Flag(Record):
    kind: Text
    text: Text
    remedy: Text | None
    grave: bool


class Line(Record):
    # Not Literal[3], which takes 3.0 as well.
    protocol: Annotated[int, Field(ge=PROTOCOL, le=PROTOCOL)]


class Progress(Line):
    event: Literal["progress"]
    phase: Text
    done: NonNegativeFloat
    total: NonNegativeFloat
    unit: Text


class Failure(Line):
    event: Literal["error"]
    kind: Literal["request", "missing", "device", "refused"]
    message: Text


class Probed(Line):
    event: Literal["board"]
    board: Board


class Taken(Line):
    """One timed window of one case."""

    event: Literal["slice"]
    case: Count
    round: Count
    start_s: float
    stop_s: float
    samples_ns: Annotated[list[PositiveInt], Field(min_length=1)]
    device_ns: list[PositiveInt] | None
    energy: Reading | None
    yardstick_ns: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)] | None
    earlier: bool

    @model_validator(mode="after")
    def the_samples_fit_into_the_window(self) -> Self:
        seconds = self.stop_s - self.start_s
        if sum(self.samples_ns) > 1e9 * seconds * (1 + 1e-9) + 1:
            raise ValueError("the samples are longer than the window they lie in")
        if self.device_ns is not None and len(self.device_ns) != len(self.samples_ns):
            raise ValueError("as many device times as samples were expected")
        return self


class Result(Line):
    event: Literal["result"]
    request: dict[str, JsonValue]
    cases: Annotated[list[CaseResult], Field(min_length=1)]
    yardstick: Model | None
    energy: Meter
    power: Power | None
    conditions: BeforeAfter
    board: Board
    settings: dict[Text, Plain]
    earlier_slices: Count
    flags: list[Flag]


Event: TypeAlias = Progress | Failure | Probed | Taken | Result
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def event_from(line: bytes) -> Event:
    """The event that a line of the agent holds.

    Raises:
        DeviceError: the line is not of this protocol, or one of its fields cannot be right.
    """
    try:
        return _EVENTS.validate_json(line)
    except ValidationError as error:
        raise DeviceError(_message(line, error)) from None


def _message(line: bytes, error: ValidationError) -> str:
    first: Any = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    start = line[:80].decode("utf-8", "replace").strip()
    if place.endswith(".protocol"):
        return f"the agent speaks another protocol than {PROTOCOL}: {start!r}"
    where = f" at {place}" if place else ""
    return f"the agent sent a line that cannot be used: {first['msg']}{where}: {start!r}"
