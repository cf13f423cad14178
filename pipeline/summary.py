"""summary.json: every figure of a run, or null and why; nothing measured without machine and n."""

from __future__ import annotations

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
    """One limit of the budget; `value` and `met` are null where nothing was counted or measured:
    a latency or an energy that is only predicted stands under `estimated`."""

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
        parts = [self.machine, self.engine, f"batch {self.batch}"]
        if self.threads is not None:
            parts.append(f"{self.threads} thread{'s' * (self.threads > 1)}")
        elif self.engine.startswith("onnxruntime"):  # TensorRT's kernels have no threads to set
            parts.append("default threads")
        return ", ".join(parts)


class FusionCount(Frozen):
    """Convolutions and matrix products that run as INT8 kernels, of all in the file."""

    int8: NonNegativeInt
    total: NonNegativeInt


class Summary(Frozen):
    """A run in figures. A figure not measured is null, never 0; `not_measured` says why.

    Files are named "teacher", "student" and by the export targets. What was timed on the second and
    further devices of the recipe is named "student@DEVICE". `not_measured` is keyed by the path of
    the null figure, for example "latency_ms.tensorrt" or "accuracy.int8.tensorrt".
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
    unsteady: dict[str, PositiveFloat] = {}
    """{file: spread} of those whose times vary so much that they are not to be trusted."""
    energy_mj: dict[str, PositiveFloat | None] = {}
    energy_source: dict[str, str] = {}
    """What the energy was read from, or why it could not be read."""
    fusion: dict[str, FusionCount | None] = {}
    file_bytes: dict[str, PositiveInt | None] = {}
    estimated: dict[str, dict[str, float]] = {}
    """Figures that were computed instead of measured: {figure: {name: value}}; the name is that of
    the budget's device."""
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
        return tuple(
            name for name in names if name not in ("teacher", "student") and "@" not in name
        )

    @property
    def places(self) -> tuple[str, ...]:
        """The devices after the first on which files were timed."""
        further = (name.partition("@")[2] for name in self.latency_ms)
        return tuple(dict.fromkeys(name for name in further if name))

    def comparable(self, name: str, other: str) -> bool:
        """Whether both were timed, in the same setting."""
        if self.latency_ms.get(name) is None or self.latency_ms.get(other) is None:
            return False
        return self.measured[name].setting == self.measured[other].setting

    def why_null(self, figure: str) -> str:
        """The reason for the null at path `figure`."""
        table, _, name = figure.partition(".")
        if table == "energy_mj" and figure not in self.not_measured and name in self.energy_source:
            return self.energy_source[name]
        return self.not_measured.get(figure, "the run recorded no reason")
