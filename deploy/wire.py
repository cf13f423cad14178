"""What may come from an agent, field by field: nothing is used before it has this shape.

The agent runs elsewhere and may be of another version, broken or not an agent at all. Numbers are
finite and in range, no key is missing or unknown, and what can be computed again is.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from .agent.protocol import PROTOCOL
from .agent.stats import summary_ms
from .errors import DeviceError


class Record(BaseModel):
    """A part of a line: strict types, no unknown keys, finite numbers."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Thermal(Record):
    name: str
    celsius: float


class Conditions(Record):
    load_average: Annotated[list[NonNegativeFloat], Field(min_length=3, max_length=3)] | None
    frequency_mhz: NonNegativeFloat | None
    thermal: list[Thermal]


class Cpu(Record):
    model: str | None
    features: list[str] | None
    cores_online: PositiveInt | None
    cores_usable: PositiveInt | None
    quota_cores: PositiveFloat | None
    governor: str | None
    min_mhz: NonNegativeFloat | None
    max_mhz: NonNegativeFloat | None


class Memory(Record):
    total_bytes: PositiveInt | None
    available_bytes: PositiveInt | None


class Installed(Record):
    version: str
    providers: list[str]


class EnergyReading(Record):
    readable: bool
    source: str


class Board(Record):
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    machine: str
    device: str | None
    cpu: Cpu
    memory: Memory
    os: str | None
    kernel: str | None
    python: str
    engines: dict[str, Installed | None]
    energy: EnergyReading
    conditions: Conditions
    container: str | None
    virtual_machine: bool | None
    unread: dict[str, str]


class Engine(Record):
    name: str
    version: str
    provider: str


class Model(Record):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: PositiveInt


class WarmUp(Record):
    runs: Annotated[int, Field(ge=0)]
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


class Energy(Record):
    energy_mj: PositiveFloat | None
    above_idle_mj: float | None
    power_mw: PositiveFloat | None
    idle_power_mw: PositiveFloat | None
    source: str

    @model_validator(mode="after")
    def all_or_none(self) -> Self:
        figures = (self.energy_mj, self.above_idle_mj, self.power_mw, self.idle_power_mw)
        if figures.count(None) not in (0, len(figures)):
            raise ValueError("some energy figures are null and some are not")
        return self


class BeforeAfter(Record):
    before: Conditions
    after: Conditions


class Line(Record):
    # Not Literal[1], which takes true for 1.
    protocol: Annotated[int, Field(ge=PROTOCOL, le=PROTOCOL)]


class Progress(Line):
    event: Literal["progress"]
    phase: str
    done: NonNegativeFloat
    total: NonNegativeFloat
    unit: str


class Failure(Line):
    event: Literal["error"]
    kind: Literal["request", "missing", "device"]
    message: str


class Probed(Line):
    event: Literal["board"]
    board: Board


class Result(Line):
    event: Literal["result"]
    request: dict[str, str | int | float | None]
    engine: Engine
    model: Model
    load_ms: PositiveFloat
    first_ms: PositiveFloat
    warmup: WarmUp
    runs: PositiveInt
    window_s: PositiveFloat
    latency_ms: Latency
    spread: NonNegativeFloat
    drift: float
    throughput_per_s: PositiveFloat
    energy: Energy
    conditions: BeforeAfter
    board: Board
    samples_ns: Annotated[list[PositiveInt], Field(min_length=1)]
    notes: list[str]

    @model_validator(mode="after")
    def figures_follow_from_the_samples(self) -> Self:
        if len(self.samples_ns) != self.runs:
            raise ValueError(f"{self.runs} runs, but {len(self.samples_ns)} samples")
        if sum(self.samples_ns) > 1e9 * self.window_s * (1 + 1e-9):
            raise ValueError("the samples are longer than the window they lie in")
        told = self.latency_ms.model_dump()
        for name, value in summary_ms(self.samples_ns).items():
            # Equal but for the last digits, which another machine's arithmetic may round otherwise.
            if not math.isclose(value, told[name], rel_tol=1e-9):
                raise ValueError(f"latency {name} is {told[name]} ms, its samples give {value}")
        return self


Event: TypeAlias = Progress | Failure | Probed | Result
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
