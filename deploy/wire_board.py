"""What an agent may say of the board it runs on: `Board`, and `Conditions`, which change.

None means that it could not be read; `unread` then has the reason.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from .record import Record

Count: TypeAlias = Annotated[int, Field(ge=0)]


class Board(Record):
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    machine: str
    device: str | None
    jetson: Jetson | None
    cpu: Cpu
    memory: Memory
    os: str | None
    kernel: str | None
    python: str
    software: Software
    engines: Engines
    power_modes: list[PowerMode]
    energy: EnergyReading
    conditions: Conditions
    container: str | None
    virtual_machine: bool | None
    unread: dict[str, str]


class Conditions(Record):
    load_average: Annotated[list[NonNegativeFloat], Field(min_length=3, max_length=3)] | None
    frequency_mhz: NonNegativeFloat | None
    thermal: list[Thermal]
    cooling: list[Cooling]
    fan: Fan | None
    power_mode: PowerMode | None
    clocks: list[Clock]
    throttle: dict[str, Count]
    gpu: Gpu | None


class Jetson(Record):
    module: str | None
    part: str | None
    carrier: str | None
    super: bool
    soc: str | None
    l4t: str | None
    jetpack: str | None
    sm_count: PositiveInt | None
    sm_source: str | None
    compute_capability: str | None
    dla_cores: Count | None
    notes: list[str]


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


class Software(Record):
    cuda: str | None
    tensorrt: str | None
    tensorrt_python: str | None
    cudnn: str | None
    trtexec: str | None
    nvidia_driver: str | None


class Engines(Record):
    onnxruntime: OnnxRuntime | None
    tensorrt: TensorRT | None
    trtexec: Trtexec | None


class OnnxRuntime(Record):
    version: str
    providers: list[str]


class TensorRT(Record):
    version: str


class Trtexec(Record):
    version: str | None
    path: str


class EnergyReading(Record):
    readable: bool
    source: str
    rule: str | None
    rails: list[str]


class PowerMode(Record):
    id: Count
    name: str


class Thermal(Record):
    name: str
    celsius: float


class Cooling(Record):
    name: str
    state: Count
    max_state: Count | None


class Fan(Record):
    pwm: Count | None
    rpm: Count | None


class Clock(Record):
    name: str
    current_mhz: NonNegativeFloat | None
    min_mhz: NonNegativeFloat | None
    max_mhz: NonNegativeFloat | None
    locked: bool | None


class Gpu(Record):
    name: str
    clock_mhz: NonNegativeFloat | None
    memory_clock_mhz: NonNegativeFloat | None
    celsius: float | None
    throttle_reasons: list[str]
    power_limit_mw: NonNegativeFloat | None
