"""What is kept of the networks that were weighed: the rows of candidates.json, and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..models.budget import Limit, figure
from ..models.cost import Cost
from ..models.families import Spec, describe
from ..models.search import Candidate, Rejected
from .events import JSON, emit
from .predicting import Predictor

NO_PREDICTION: Mapping[str, JSON] = {}


def facts(chosen: Candidate, device: Predictor | None) -> dict[str, JSON]:
    """The chosen network of a family in figures, as a stage's metrics."""
    return cost_metrics(describe(chosen.spec), chosen.cost, told(chosen.spec, device))


def listed(
    each: Candidate | Rejected,
    device: Predictor | None,
    *,
    fits: bool,
    why: str,
    chosen: bool = False,
) -> dict[str, Any]:
    """One network of a family as a row of candidates.json."""
    predicted = told(each.spec, device)
    return candidate_row(
        describe(each.spec), each.cost, predicted, fits=fits, why=why, chosen=chosen
    )


def told(spec: Spec, device: Predictor | None) -> dict[str, JSON]:
    """What is predicted of a family's network on the budget's device; {} where it names none."""
    return device.told(spec.layers(spec)) if device else {}


def cost_metrics(
    text: str, cost: Cost, predicted: Mapping[str, JSON] = NO_PREDICTION
) -> dict[str, JSON]:
    """Any network in figures; `predicted` is what `Predictor.told` says of it, never measured."""
    return {
        "student": text,
        "macs": cost.macs,
        "params": cost.params,
        "bytes_fp32": cost.bytes_fp32,
        "bytes_int8": cost.bytes_int8,
        "peak_activation_bytes": cost.peak_activation_bytes,
        "predicted": dict(predicted),
    }


def note_extrapolation(device: Predictor | None, predicted: Any) -> None:
    """Say what of the prediction for a chosen network no measurement stands behind."""
    for name, each in predicted.items():
        if device and each and each["extrapolates"]:
            beyond = "; ".join(each["extrapolates"])
            emit("note", text=f"{name} on {device.name} is extrapolated: {beyond}")


def candidate_row(
    text: str,
    cost: Cost,
    predicted: Mapping[str, JSON] = NO_PREDICTION,
    *,
    fits: bool,
    why: str,
    chosen: bool = False,
) -> dict[str, Any]:
    """Any network as a row of candidates.json."""
    return {
        "spec": text,
        "macs": cost.macs,
        "params": cost.params,
        "bytes_int8": cost.bytes_int8,
        "peak_activation_bytes": cost.peak_activation_bytes,
        "predicted": dict(predicted),
        "fits": fits,
        "chosen": chosen,
        "why": why,
    }


def over(limit: Limit) -> str:
    """By how much one network misses one limit: "macs 1,200 over 1,000"."""
    return f"{limit.name} {figure(limit.name, limit.value)} over {figure(limit.name, limit.limit)}"


def in_short(predicted: Mapping[str, JSON]) -> str:
    """The predictions in words, each with its label: "2.1 ms, x/÷ 1.6, estimated"; or nothing."""
    return "; ".join(str(each["text"]) for each in predicted.values() if isinstance(each, dict))
