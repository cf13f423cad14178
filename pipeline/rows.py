"""The summary's figures as rows: of the table of results, and of each further device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .summary import Conditions, CostFigures, FusionCount, Latency, Summary
from .wording import NOT_MEASURED, count, number, percent, size

COLUMNS = ("", "top-1", "MACs", "params", "weights", "p50/p90/p99 ms", "energy mJ", "INT8 fused")
"""Heads of `Row.cells`."""
TIMED_COLUMNS = ("", "p50/p90/p99 ms", "energy mJ", "n")
"""Heads of `TimedRow.cells`."""


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


@dataclass(frozen=True, kw_only=True)
class TimedRow:
    """One line of a further device's table."""

    name: str
    latency: Latency
    energy_mj: float | None
    conditions: Conditions
    why_no_energy: str
    """The reason where `energy_mj` is None."""

    @property
    def label(self) -> str:
        return self.name if self.name in ("teacher", "student") else f"INT8 {self.name}"

    def cells(self) -> tuple[str, ...]:
        """The row as text, one cell for each of `TIMED_COLUMNS`."""
        timed = self.latency
        percentiles = " / ".join(number(ms) for ms in (timed.p50, timed.p90, timed.p99))
        return self.label, percentiles, number(self.energy_mj), f"{self.conditions.runs:,}"


def rows(summary: Summary) -> tuple[Row, ...]:
    """The closing table: teacher, student, then one row for each INT8 target."""
    return tuple(_rows(summary))


def timed_rows(summary: Summary, place: str) -> tuple[TimedRow, ...]:
    """The files that were timed on one of the summary's further places."""
    return tuple(
        TimedRow(
            name=key.partition("@")[0],
            latency=latency,
            energy_mj=summary.energy_mj.get(key),
            conditions=summary.measured[key],
            why_no_energy=summary.why_null(f"energy_mj.{key}"),
        )
        for key, latency in summary.latency_ms.items()
        if latency is not None and key.partition("@")[2] == place
    )


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
