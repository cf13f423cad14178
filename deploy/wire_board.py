"""What an agent may say of the board it runs on: `Board`, and `Conditions`, which change.

None means that it could not be read; `unread` then has the reason.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from .record import Record, Text

Count: TypeAlias = Annotated[int, Field(ge=0)]


class Board(Record):
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    machine: Text
    device: Text | None
    jetson: Jetson | None
    cpu: Cpu
    memory: Memory
    os: Text | None
    kernel: Text | None
    python: Text
    software: Software
    engines: Engines
    power_modes: list[PowerMode]
    energy: EnergyReading
    conditions: Conditions
    container: Text | None
    virtual_machine: bool | None
    unread: dict[Text, Text]


class Conditions(Record):
    load_average: Annotated[list[NonNegativeFloat], Field(min_length=3, max_length=3)] | None
    frequency_mhz: NonNegativeFloat | None
    thermal: list[Thermal]
    cooling: list[Cooling]
    fan: Fan | None
    power_mode: PowerMode | None
    clocks: list[Clock]
    throttle: dict[Text, Count]
    gpu: Gpu | None


class Jetson(Record):
    module: Text | None
    part: Text | None
    carrier: Text | None
    super: bool
    soc: Text | None
    l4t: Text | None
    jetpack: Text | None
    sm_count: PositiveInt | None
    sm_source: Text | None
    compute_capability: Text | None
    dla_cores: Count | None
    notes: list[Text]


class Cpu(Record):
    model: Text | None
    features: list[Text] | None
    cores_online: PositiveInt | None
    cores_usable: PositiveInt | None
    quota_cores: PositiveFloat | None
    governor: Text | None
    min_mhz: NonNegativeFloat | None
    max_mhz: NonNegativeFloat | None


class Memory(Record):
    total_bytes: PositiveInt | None
    available_bytes: PositiveInt | None


class Software(Record):
    cuda: Text | None
    tensorrt: Text | None
    tensorrt_python: Text | None
    cudnn: Text | None
    trtexec: Text | None
    nvidia_driver: Text | None


class Engines(Record):
    onnxruntime: OnnxRuntime | None
    tensorrt: TensorRT | None
    trtexec: Trtexec | None


class OnnxRuntime(Record):
    version: Text
    providers: list[Text]


class TensorRT(Record):
    version: Text


class Trtexec(Record):
    version: Text | None
    path: Text


class EnergyReading(Record):
    readable: bool
    source: Text
    rule: Text | None
    rails: list[Text]


class PowerMode(Record):
    id: Count
    name: Text


class Thermal(Record):
    name: Text
    celsius: float


class Cooling(Record):
    name: Text
    state: Count
    max_state: Count | None


class Fan(Record):
    pwm: Count | None
    rpm: Count | None


class Clock(Record):
    name: Text
    current_mhz: NonNegativeFloat | None
    min_mhz: NonNegativeFloat | None
    max_mhz: NonNegativeFloat | None
    locked: bool | None


class Gpu(Record):
    name: Text
    clock_mhz: NonNegativeFloat | None
    memory_clock_mhz: NonNegativeFloat | None
    celsius: float | None
    throttle_reasons: list[Text]
    power_limit_mw: NonNegativeFloat | None
