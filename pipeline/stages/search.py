"""Stage search: the largest network that fits the budget.

Leaves student.json (how to build it) and candidates.json (what was weighed and why it lost). What
is predicted for the budget's device stands under "predicted" there, as `Predictor.told` has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...models.budget import Budget, refuse_impossible
from ...models.cost import Cost
from ...models.errors import GateFailed
from ...models.families import spec_to_json
from ...models.search import Found, search
from ..candidate_rows import (
    candidate_row,
    cost_metrics,
    facts,
    in_short,
    listed,
    note_extrapolation,
    over,
)
from ..events import JSON
from ..inputs import Inputs
from ..networks import blocks_of, build_network, write_json
from ..outside import module_hash
from ..predicting import Predictor, predictor_for, told_of_network, values_of
from ..recipe import Recipe


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """The largest network that fits, or the fixed one held to the budget."""
    budget = settings.budget.limits()
    classes, size = inputs.data.num_classes, settings.data.image_size
    refuse_impossible(budget, num_classes=classes, image_size=size)
    device = predictor_for(budget, settings.budget.device)
    if settings.student.model is not None:
        told: dict[str, Any] = {
            "model": settings.student.model,
            "options": {},
            "num_classes": classes,
            "image_size": size,
            "module": module_hash(settings.student.model),
            "version": settings.student.version,
        }
        predicted = told_of_network(device, told)
        cost, why = _held(budget, told, size, predicted), "the only one given"
        metrics, weighed = cost_metrics(settings.student.model, cost, predicted), 1
        rows = [
            candidate_row(settings.student.model, cost, predicted, fits=True, chosen=True, why=why)
        ]
    else:
        found = search(
            settings.student.family,
            budget,
            num_classes=classes,
            image_size=size,
            predicted=device.functions() if device else {},
        )
        told, weighed = {"spec": spec_to_json(found.best[0].spec)}, found.weighed
        metrics, rows = facts(found.best[0], device), _rows(found, device)
    if settings.student.shortlist == 1 or settings.student.model is not None:
        note_extrapolation(device, metrics["predicted"])
    # Here and not when distilling: a path that leads nowhere must not cost the teacher's training.
    blocks = list(settings.student.blocks) if settings.student.blocks else None
    description = {**told, "blocks": blocks}
    found_blocks = blocks_of(description, build_network(description))
    write_json(out / "student.json", {**description, "blocks": list(found_blocks)})
    write_json(out / "candidates.json", rows)
    return {**metrics, "weighed": weighed, "headline": _headline(metrics, weighed)}


def _headline(metrics: Mapping[str, Any], weighed: int) -> str:
    takes = in_short(metrics["predicted"])
    return (
        f"{metrics['student']}: {metrics['macs']:,} MACs, {metrics['params']:,} parameters"
        f"{'; ' if takes else ''}{takes}; {weighed:,} weighed"
    )


def _held(budget: Budget, told: dict[str, Any], size: int, predicted: Mapping[str, JSON]) -> Cost:
    from ...models.measure import measure

    cost = measure(build_network(told), (3, size, size))
    broken = [limit for limit in budget.limits(cost, values_of(predicted)) if not limit.met]
    if broken:
        too_much = ", ".join(map(over, broken))
        raise GateFailed(f"the student {told['model']} does not fit the budget: {too_much}")
    return cost


def _rows(found: Found, device: Predictor | None) -> list[dict[str, Any]]:
    best, others = found.best[0], [each for each in found.frontier if each != found.best[0]]
    return [
        listed(best, device, fits=True, chosen=True, why="the largest that fits"),
        *(listed(each, device, fits=True, why="fits") for each in others),
        *(listed(each, device, fits=False, why=over(each.binds)) for each in found.rejected),
    ]
