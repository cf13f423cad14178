"""The contract of an export: what a model must keep to. `contract_file.py` reads it from TOML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _quantity(value: object) -> object:
    """200_000 and "200KB" are the same number."""
    from ..models.budget import parse_quantity

    return parse_quantity(value) if isinstance(value, str) else value


Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Quantity = Annotated[int, Field(ge=1), BeforeValidator(_quantity, json_schema_input_type=int | str)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
TargetName = Literal["tensorrt", "ort-x86", "ort-arm64"]


class Table(BaseModel):
    """What all tables share: frozen, nothing unknown, no type guessed, no NaN."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class PortContract(Table):
    """[check.inputs.NAME] and [check.outputs.NAME]: what the model is called with, and gives."""

    dtype: str
    """Element type in numpy's words: "float32", "uint8", "int64"."""
    shape: Annotated[tuple[Annotated[int, Field(ge=0)] | str, ...], Field(strict=False)]
    """Sizes; a free axis is any text, as ["N", 3, 224, 224]."""


class ParityLimits(Table):
    """[check.parity]: how far an output may be from the reference's; each limit holds for all.

    Model specific: `edgestill check --init` sets them from what a known-good model shows.
    """

    max_abs: NotNegative | None = None
    """Largest difference of two elements."""
    mean_abs: NotNegative | None = None
    """Mean difference of two elements."""
    relative: NotNegative | None = None
    """Largest difference, as a share of the largest element of the reference."""
    shift: NotNegative | None = None
    """Largest mean difference of one element over all samples, as a share of the same."""
    cosine_min: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Least cosine of any sample's output."""
    top1_agreement_min: Share | None = None
    """Least share of samples for which both name the same class."""
    equal_min: Share | None = None
    """Least share of equal elements in outputs of whole numbers."""


class Latency(Table):
    """[check.latency]: no slower than another model, both timed in turns in one process."""

    baseline: str
    """The ONNX file to be timed against."""
    max_ratio: Annotated[float, Field(gt=0)] = 1.05
    """The model's time over the baseline's, at most."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """How sure pass and fail must be; else the line is undecided."""
    seconds: Annotated[float, Field(gt=0, le=600)] = 20
    """Longest time to measure for."""
    threads: Count = 1
    """Threads of ONNX Runtime."""
    max_ms: Annotated[float, Field(gt=0)] | None = None
    """Longest median time of one inference; needs `machine`."""
    machine: str | None = None
    """The machine that max_ms is about, as `edgestill doctor` names it; skipped on any other."""

    @model_validator(mode="after")
    def _times_belong_to_a_machine(self) -> Latency:
        if (self.max_ms is None) != (self.machine is None):
            raise ValueError("max_ms and machine go together: a time means nothing elsewhere")
        return self


class Contract(Table):
    """[check]: every key is optional; a limit that is not set is not checked."""

    model: str | None = None
    """The file to check, where the command does not name one; relative to the contract's file."""
    target: TargetName | None = None
    """The runtime that the file is for; absent: what its metadata says."""
    reference: str | None = None
    """The known-good model: an ONNX file, or recorded inputs and outputs in an .npz."""
    reference_sha256: str | None = None
    """Of the reference's file: another one in its place is refused, not compared with."""
    data: str | None = None
    """Samples: an .npz of arrays by input name and `labels`, or a data source as in a recipe."""
    top1_drop: Share | None = None
    """Top-1 that may be lost against the reference on labelled samples; 0.01 is one point."""
    top1_min: Share | None = None
    """Least top-1 on labelled samples."""
    int8_fraction: Share | dict[TargetName, Share] | None = None
    """Least share of convolutions and matrix products that the runtime runs in INT8; for all
    targets, or a table by target."""
    qdq_left_max: Annotated[int, Field(ge=0)] | None = None
    """Most Q/DQ nodes that the runtime still executes."""
    float_islands_max: Annotated[int, Field(ge=0)] | None = None
    """Most operations that stay in float."""
    zero_channels_max: Annotated[int, Field(ge=0)] | None = None
    """Most output channels of convolutions and products whose weights are all zero."""
    biased_layers_min: Annotated[int, Field(ge=0)] | None = None
    """Fewest convolutions and products that have a bias."""
    weights: Literal["per-channel", "per-tensor"] | None = None
    """How finely the weights are quantized; per-channel is the finer one, and passes for both."""
    opset_max: Count | None = None
    """Newest ONNX opset; absent: what the target's oldest supported runtime reads."""
    ir_max: Count | None = None
    """Newest ONNX IR version; absent: as for the opset."""
    domains: Names | None = None
    """Operator domains that may occur; "ai.onnx" is the standard one. Absent: the runtime's own."""
    max_bytes: Quantity | None = None
    """Size of the model with its side files: a number, or text as "200KB"."""
    max_parameters: Quantity | None = None
    """Elements of all weights."""
    max_macs: Quantity | None = None
    """Multiply-accumulates for one sample."""
    max_peak_activation_bytes: Quantity | None = None
    """Largest sum of live activations in one call: of one sample, or of a fixed batch."""
    inputs: dict[str, PortContract] | None = None
    """The inputs, all of them, by name."""
    outputs: dict[str, PortContract] | None = None
    """The outputs, all of them, by name."""
    sizes: dict[str, Count] = {}
    """Sizes that free axes take in the check, by the axis' name."""
    parity: ParityLimits = ParityLimits()
    """How far the outputs may be from the reference's."""
    latency: Latency | None = None
    """How slow it may be, beside another model."""
    finite: bool = True
    """No NaN or Inf for zeros, extremes, noise and the samples given."""
    deterministic: bool = True
    """The same input gives the same bits, twice in one session and in another one."""
    batch_invariant: bool = True
    """A sample's output depends on that sample alone."""
    # WRN-16, ResNet-18 and MobileNetV2, FP32 and static INT8, differ by 0 (AVX-512). The room is
    # for kernels that round a single row otherwise: one INT8 code flipped by a float's last bit
    # moves a logit by less than 1 % of the largest. That rows depend is judged without room.
    batch_tolerance: NotNegative = 0.01
    """Difference of batch 1 from batch N, as a share of the largest element."""
    # Convolutions and products in INT8 are exact. QLinearAdd adds in float32: a sum within its
    # rounding of half a code falls to either side (3 of 32768 in one Add of ResNet-18), and what
    # follows carries the code on. How far depends on the network, so it is measured as well.
    arm64_tolerance: NotNegative = 0.01
    """Difference of emulated arm64 from x86-64, as a share of the largest logit; where running the
    file unfused on x86-64 differs from that by more, as much as it does."""
    dynamic_batch: bool = False
    """The batch axis must be free."""
    single_file: bool = True
    """No weights in files beside the model."""
    allow_skipped: bool = True
    """False: a line that could not be checked fails the check as a whole."""
    allow_undecided: bool = True
    """False: a line that this machine cannot decide fails the check as a whole."""

    def int8_fraction_for(self, target: str | None) -> float | None:
        """The limit that holds for `target`."""
        if isinstance(self.int8_fraction, dict):
            return self.int8_fraction.get(target)  # type: ignore[call-overload, no-any-return]
        return self.int8_fraction

    def limits(self, target: str | None = None) -> tuple[str, ...]:
        """Names of the lines that this contract sets a limit for, for a file of `target`."""
        return tuple(self._limits(target))

    def _limits(self, target: str | None) -> Iterator[str]:
        for name in LIMITS:
            given = getattr(self, name) is not None
            by_target = name == "int8_fraction" and isinstance(self.int8_fraction, dict)
            if given and not (by_target and self.int8_fraction_for(target) is None):
                yield name
        if self.latency is not None and self.latency.max_ms is not None:
            yield "latency.max_ms"
        for name, value in self.parity.model_dump().items():
            if value is not None:
                yield f"parity.{name}"


LIMITS = (
    "top1_drop",
    "top1_min",
    "int8_fraction",
    "qdq_left_max",
    "float_islands_max",
    "weights",
    "zero_channels_max",
    "biased_layers_min",
    "domains",
    "max_bytes",
    "max_parameters",
    "max_macs",
    "max_peak_activation_bytes",
    "inputs",
    "outputs",
    "latency",
)
"""Keys that are limits by being set, and lines of the same name."""
