"""summary.json: every figure of a run, or null and why; nothing measured without machine and n."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from .wording import NOT_MEASURED, count, number, percent, size

COLUMNS = ("", "top-1", "MACs", "params", "weights", "p50/p90/p99 ms", "energy mJ", "INT8 fused")
"""Heads of `Row.cells`."""


class Frozen(BaseModel):
    """Settings that all records of the summary share."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StageLine(Frozen):
    """What one stage did in this run."""

    key: str
    status: Literal["ran", "reused"]
    seconds: NonNegativeFloat


class Accuracy(Frozen):
    """Top-1 on the held-out images, as shares from 0 to 1."""

    teacher: float | None = Field(default=None, ge=0, le=1)
    student: float | None = Field(default=None, ge=0, le=1)
    int8: dict[str, float | None] = {}


class CostFigures(Frozen):
    """What one image costs; counted from the architecture, so no machine is involved."""

    macs: NonNegativeInt | None = None
    params: NonNegativeInt | None = None
    bytes_fp32: NonNegativeInt | None = None
    bytes_int8: NonNegativeInt | None = None
    peak_activation_bytes: NonNegativeInt | None = None


class LimitLine(Frozen):
    """One limit of the budget; `value` and `met` are null where nothing was measured."""

    limit: PositiveFloat | PositiveInt
    value: NonNegativeInt | NonNegativeFloat | None = None
    met: bool | None = None


class Latency(Frozen):
    """Milliseconds of one inference."""

    p50: PositiveFloat
    p90: PositiveFloat
    p99: PositiveFloat


class Conditions(Frozen):
    """Where and how a file was timed. Two latencies compare only if `setting` is the same."""

    machine: str = Field(min_length=1)
    engine: str = Field(min_length=1)
    runs: PositiveInt
    batch: PositiveInt = 1
    threads: PositiveInt | None = None

    @property
    def setting(self) -> str:
        threads = "default threads" if self.threads is None else f"{self.threads} thread"
        plural = "s" if (self.threads or 1) > 1 else ""
        return f"{self.machine}, {self.engine}, batch {self.batch}, {threads}{plural}"


class FusionCount(Frozen):
    """Convolutions and matrix products that run as INT8 kernels, of all in the file."""

    int8: NonNegativeInt
    total: NonNegativeInt


class Summary(Frozen):
    """A run in figures. A figure not measured is null, never 0; `not_measured` says why.

    Files are named "teacher", "student" and by the export targets. `not_measured` is keyed by the
    path of the null figure, for example "latency_ms.tensorrt" or "accuracy.int8.tensorrt".
    """

    recipe: str
    machine: str | None = None
    """Where the run took place."""
    held_out_images: PositiveInt | None = None
    """n of every accuracy."""
    counted_in: dict[str, str] = {}
    """The runtime in which each file's accuracy was counted: {"student": "onnxruntime"}."""
    stages: dict[str, StageLine] = {}
    accuracy: Accuracy = Accuracy()
    cost: CostFigures = CostFigures()
    cost_teacher: CostFigures = CostFigures()
    budget: dict[str, LimitLine] = {}
    latency_ms: dict[str, Latency | None] = {}
    measured: dict[str, Conditions] = {}
    """For each file that was timed: machine, engine, batch, threads and n."""
    energy_mj: dict[str, PositiveFloat | None] = {}
    energy_source: dict[str, str] = {}
    """What the energy was read from, or why it could not be read."""
    fusion: dict[str, FusionCount | None] = {}
    file_bytes: dict[str, PositiveInt | None] = {}
    estimated: dict[str, dict[str, float]] = {}
    """Figures that were computed instead of measured: {figure: {name: value}}."""
    not_measured: dict[str, str] = {}
    artifacts: dict[str, str] = {}

    @model_validator(mode="after")
    def _every_measurement_is_labelled(self) -> Self:
        timed = {name for name, latency in self.latency_ms.items() if latency is not None}
        timed |= {name for name, energy in self.energy_mj.items() if energy is not None}
        if bare := sorted(timed - set(self.measured)):
            raise ValueError(f"measured without machine and n: {', '.join(bare)}")
        tops = (self.accuracy.teacher, self.accuracy.student, *self.accuracy.int8.values())
        if self.held_out_images is None and any(top is not None for top in tops):
            raise ValueError("an accuracy is given without held_out_images, its n")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """The INT8 files of this run, in the order first met."""
        keyed = (self.accuracy.int8, self.fusion, self.latency_ms, self.energy_mj)
        names = dict.fromkeys(name for table in keyed for name in table)
        return tuple(name for name in names if name not in ("teacher", "student"))

    def why_null(self, figure: str) -> str:
        """The reason for the null at path `figure`."""
        table, _, name = figure.partition(".")
        if table == "energy_mj" and figure not in self.not_measured and name in self.energy_source:
            return self.energy_source[name]
        return self.not_measured.get(figure, "the run recorded no reason")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the closing table: a file, its figures, and a reason for each null."""

    name: str
    precision: Literal["FP32", "INT8"]
    images: int | None
    top1: float | None
    macs: int | None
    params: int | None
    bytes: int | None
    latency: Latency | None
    energy_mj: float | None
    fusion: FusionCount | None
    file_bytes: int | None = None
    conditions: Conditions | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why a figure is null, by its name: top1, macs, params, bytes, latency, energy_mj, fusion."""

    @property
    def label(self) -> str:
        return f"INT8 {self.name}" if self.precision == "INT8" else self.name

    @property
    def fused(self) -> str:
        """ "20/21", or a dash for a file that has nothing to fuse."""
        if self.precision == "FP32":
            return "-"
        return NOT_MEASURED if self.fusion is None else f"{self.fusion.int8}/{self.fusion.total}"

    def cells(self) -> tuple[str, ...]:
        """The row as text, one cell for each of `COLUMNS`."""
        timed = self.latency
        latency = timed and " / ".join(number(ms) for ms in (timed.p50, timed.p90, timed.p99))
        return (
            self.label,
            percent(self.top1, self.images),
            count(self.macs),
            count(self.params),
            size(self.bytes),
            latency or NOT_MEASURED,
            number(self.energy_mj),
            self.fused,
        )


def rows(summary: Summary) -> tuple[Row, ...]:
    """The closing table: teacher, student, then one row for each INT8 target."""
    return tuple(_rows(summary))


def _rows(summary: Summary) -> Iterator[Row]:
    teacher, student = summary.cost_teacher, summary.cost
    yield _row(summary, "teacher", summary.accuracy.teacher, teacher, teacher.bytes_fp32)
    yield _row(summary, "student", summary.accuracy.student, student, student.bytes_fp32)
    for target in summary.targets:
        top1 = summary.accuracy.int8.get(target)
        yield _row(summary, target, top1, student, student.bytes_int8, int8=True)


def _row(
    summary: Summary,
    name: str,
    top1: float | None,
    cost: CostFigures,
    weight_bytes: int | None,
    *,
    int8: bool = False,
) -> Row:
    counted = "cost_teacher" if name == "teacher" else "cost"
    figures: dict[str, tuple[object, str]] = {
        "top1": (top1, f"accuracy.int8.{name}" if int8 else f"accuracy.{name}"),
        "macs": (cost.macs, f"{counted}.macs"),
        "params": (cost.params, f"{counted}.params"),
        "bytes": (weight_bytes, f"{counted}.bytes_{'int8' if int8 else 'fp32'}"),
        "latency": (summary.latency_ms.get(name), f"latency_ms.{name}"),
        "energy_mj": (summary.energy_mj.get(name), f"energy_mj.{name}"),
    }
    if int8:
        figures["fusion"] = (summary.fusion.get(name), f"fusion.{name}")
    return Row(
        name=name,
        precision="INT8" if int8 else "FP32",
        images=summary.held_out_images,
        top1=top1,
        macs=cost.macs,
        params=cost.params,
        bytes=weight_bytes,
        latency=summary.latency_ms.get(name),
        energy_mj=summary.energy_mj.get(name),
        fusion=summary.fusion.get(name) if int8 else None,
        file_bytes=summary.file_bytes.get(name),
        conditions=summary.measured.get(name),
        reasons={
            key: summary.why_null(path) for key, (value, path) in figures.items() if value is None
        },
    )
