"""What a sweep came to: sweep.json, written anew whenever a run ends.

{"sweep": name, "over": [keys varied], "status": "running" | "finished" | "interrupted",
 "shipped": the file that table and picture are about: "student" or an INT8 target,
 "runs": [{"name", "overrides": {key: text},
           "status": "waiting" | "running" | "trained" | "done" | "failed",
           "lost": processes of it that were killed, "exit_code", "error": one line or null,
           "seconds", "folder", "figures"}]}

`figures` is null for a run without a report, else {"stages": {stage: {"key", "status", "seconds"}},
"held_out_images", "top1": {file: share}, "macs", "params", "weight_bytes": {file: bytes},
"latency_ms": {file: p50}, "timed": {file: machine, engine, batch, threads},
"energy_mj": {file: mJ}, "budget": {limit: {"limit", "value", "met"}}, "budget_met"}.

A file is "teacher", "student" or an INT8 target; one timed on a further device is "FILE@DEVICE".
Not measured is null, as in summary.json. A run whose check failed is "failed" and has its figures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from .summary import Summary

Status = Literal["waiting", "running", "trained", "done", "failed"]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A run's figures, as the file's head describes them."""

    stages: Mapping[str, Any]
    held_out_images: int | None
    top1: Mapping[str, float | None]
    macs: int | None
    params: int | None
    weight_bytes: Mapping[str, int | None]
    latency_ms: Mapping[str, float | None]
    timed: Mapping[str, str]
    energy_mj: Mapping[str, float | None]
    budget: Mapping[str, Any]
    budget_met: bool | None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a sweep and how far it is."""

    name: str
    overrides: Mapping[str, str]
    status: Status = "waiting"
    lost: int = 0
    """Processes of it that ended without a word; it was tried again."""
    exit_code: int | None = None
    error: str | None = None
    seconds: float | None = None
    """Of its tries together, without those that were lost."""
    folder: str | None = None
    figures: Figures | None = None


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All runs of a sweep, in the order of the grid."""

    name: str
    over: tuple[str, ...]
    runs: tuple[Run, ...] = ()
    status: Literal["running", "finished", "interrupted"] = "running"

    @property
    def shipped(self) -> str:
        """The file to compare the runs by: the INT8 file that most of them counted and timed.

        "student" if none has one; the first of those that are level.
        """
        files: dict[str, int] = {}
        for figures in self.with_figures.values():
            for file, top1 in figures.top1.items():
                if file not in ("teacher", "student") and top1 is not None:
                    timed = figures.latency_ms.get(file) is not None
                    files[file] = files.get(file, 0) + 1 + timed
        return max(files, key=files.__getitem__, default="student")

    @property
    def with_figures(self) -> dict[str, Figures]:
        """{run: figures} of those that came to their report."""
        return {run.name: run.figures for run in self.runs if run.figures is not None}

    @property
    def failed(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.status == "failed")

    def changed(self, name: str, **fields: Any) -> Sweep:
        """The sweep with one run's fields changed."""
        runs = (replace(run, **fields) if run.name == name else run for run in self.runs)
        return replace(self, runs=tuple(runs))

    def to_json(self) -> dict[str, Any]:
        """As the file's head describes it."""
        return {
            "sweep": self.name,
            "over": list(self.over),
            "status": self.status,
            "shipped": self.shipped,
            "runs": [asdict(run) for run in self.runs],
        }


def write_sweep(sweep: Sweep, folder: Path) -> None:
    """sweep.json in `folder`, replaced in one step."""
    fresh = folder / ".sweep.json.new"
    fresh.write_text(json.dumps(sweep.to_json(), indent=2, allow_nan=False) + "\n")
    os.replace(fresh, folder / "sweep.json")


def figures_of(folder: Path) -> Figures:
    """The figures in a run folder's summary.json."""
    summary = Summary.model_validate_json((folder / "summary.json").read_text(encoding="utf-8"))
    cost, accuracy = summary.cost, summary.accuracy
    met = [line.met for line in summary.budget.values()]
    return Figures(
        stages={name: line.model_dump() for name, line in summary.stages.items()},
        held_out_images=summary.held_out_images,
        top1={"teacher": accuracy.teacher, "student": accuracy.student, **accuracy.int8},
        macs=cost.macs,
        params=cost.params,
        weight_bytes={
            "teacher": summary.cost_teacher.bytes_fp32,
            "student": cost.bytes_fp32,
            **dict.fromkeys(accuracy.int8, cost.bytes_int8),
        },
        latency_ms={
            file: None if each is None else each.p50 for file, each in summary.latency_ms.items()
        },
        timed={file: each.setting for file, each in summary.measured.items()},
        energy_mj=dict(summary.energy_mj),
        budget={name: line.model_dump() for name, line in summary.budget.items()},
        budget_met=False if False in met else None if None in met or not met else True,
    )
