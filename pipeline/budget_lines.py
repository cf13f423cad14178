"""The budget in the summary: what was counted or measured against each limit, and what was not.

A latency or an energy is measured where the run profiled the student's file on the very device of
the budget; anywhere else the limit's value stays null, and the prediction stands under `estimated`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..deploy.power_modes import device_named, names_a_table
from ..models.budget import PREDICTED
from ..models.cost import Cost
from .measured import Place

if TYPE_CHECKING:
    from .recipe import Budget

COSTS = ("macs", "params", "bytes_fp32", "bytes_int8", "peak_activation_bytes")
TENSORRT = ("tensorrt", "trtexec")


@dataclass(frozen=True, kw_only=True)
class BudgetLines:
    """Three parts of a summary."""

    budget: dict[str, dict[str, Any]]
    estimated: dict[str, dict[str, float]] = field(default_factory=dict)
    """{"latency_ms": {the budget's device: value}}"""
    not_measured: dict[str, str] = field(default_factory=dict)


def budget_lines(
    budget: Budget, metrics: Mapping[str, Any], places: Sequence[Place]
) -> BudgetLines:
    """The lines of a run whose student costs what `metrics` says, profiled at `places`.

    metrics: those of the stage that chose the student, with what was predicted of it.
    """
    device, limits = budget.device, budget.limits()
    cost = Cost(**{name: metrics[name] for name in COSTS})
    predicted: Mapping[str, Any] = metrics["predicted"]
    figures = measured_on(device, places) if device else None
    measured = {name: figures and _value(name, figures) for name in PREDICTED}
    lines, reasons = {}, {}
    for each in limits.limits(cost, measured):
        unknown = each.value is None
        met = None if unknown else each.met
        lines[each.name] = {"limit": each.limit, "value": each.value, "met": met}
        if unknown and each.name in PREDICTED:
            why = figures["energy_source"] if figures else f"the run did not profile on {device}"
            reasons[f"budget.{each.name}"] = f"{why}; {predicted[each.name]['text']}"
    return BudgetLines(
        budget=lines,
        estimated={name: {str(device): each["value"]} for name, each in predicted.items() if each},
        not_measured=reasons,
    )


def measured_on(device: str, places: Sequence[Place]) -> dict[str, Any] | None:
    """The figures of the student's file on `device`, where it was profiled there; else None."""
    of_table = names_a_table(device)
    found = (
        _as_the_table(Path(device), each) if of_table else _on_module(device, each)
        for each in places
    )
    return next((figures for figures in found if figures is not None), None)


def _on_module(device: str, place: Place) -> dict[str, Any] | None:
    wanted, figures = device_named(device), place.files.get("tensorrt")
    jetson = place.board.get("jetson")
    if figures is None or jetson is None or jetson["module"] != wanted.mode.module:
        return None
    mode = (figures["power_mode"] or "").lower()
    same = mode == wanted.mode.name.lower() and figures["engine"] in TENSORRT
    return figures if same and figures["batch"] == 1 else None


def _as_the_table(path: Path, place: Place) -> dict[str, Any] | None:
    from ..deploy.latency_table import read_table

    table = read_table(path)
    figures = place.files.get(table.dialect or "student")
    if figures is None or place.board["fingerprint"] != table.fingerprint:
        return None
    setting = ("engine", "provider", "threads", "batch", "power_mode")
    return figures if all(figures[name] == getattr(table, name) for name in setting) else None


def _value(name: str, figures: Mapping[str, Any]) -> float | None:
    value: float | None = figures["latency_ms"]["p50"] if name == "latency_ms" else figures[name]
    return value
