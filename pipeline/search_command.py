"""`edgestill search`: the largest networks of one or more families that keep a budget.

--json writes one object:

{"ok": whether every budget has an answer, "image_size", "classes",
 "device": null or {"name", "estimated", "source"},
 "searches": [{"family", "budget": {limit: number}, "weighed", "fitting",
               "best": [network, ...], "nearest": [network with "binds", ...],
               "why_none": null or text, "set": {recipe key: value}}, ...]}

with a search for each budget and family, in the order given. A network is
{"network": text, "spec": {...}, "macs", "params", "bytes_int8", "bytes_fp32",
 "peak_activation_bytes", "latency_ms": null or {"value", "low", "high", "level", "text",
 "estimated", "extrapolates"}, "energy_mj": likewise}; both are predictions. "best" is largest
first. "nearest" are networks that miss the budget most narrowly, with "binds": {"limit",
"allowed", "value"}. "set" is what makes a recipe search for the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..models.budget import PREDICTED, Budget, Limit, refuse_impossible
from ..models.errors import GateFailed
from ..models.families import describe, spec_to_json
from ..models.search import Found, NothingFits, Rejected, search
from .predicting import Predictor, predictor_for
from .search_options import budgets_from, device_from, families_from, in_words
from .search_table import search_table

if TYPE_CHECKING:
    from ..models.cost import Cost
    from ..models.family import Spec

TOP = 10


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one budget and family came to."""

    family: str
    budget: Budget
    found: Found | None
    weighed: int
    nearest: tuple[Rejected, ...]
    why_none: str
    changes: Mapping[str, Any]
    """{recipe key: value} with which a recipe searches for the same."""

    @property
    def limits(self) -> dict[str, int | float]:
        """The limits that are set."""
        return limits_of(self.budget)


def search_command(
    family: Sequence[str],
    *,
    limits: Mapping[str, Sequence[str]],
    device: Sequence[str] = (),
    precision: str | None = None,
    image_size: int = 32,
    classes: int = 10,
    top: int | None = None,
    as_json: bool = False,
) -> None:
    """Search, and print a table or one JSON object.

    Raises:
        BadInput: an option cannot be used, or two of them contradict each other.
        GateFailed: a budget that no network of these families fits; all others are printed.
    """
    budgets, families = budgets_from(limits), families_from(family)
    named = device_from(device, budgets[0], precision)
    for budget in budgets:
        refuse_impossible(budget, num_classes=classes, image_size=image_size)
    predictor = predictor_for(budgets[0], named, precision=precision)
    answers = [
        _answer(
            Asked(name, budget, named, image_size, classes),
            predictor,
            top or (TOP if len(budgets) == 1 else 1),
        )
        for budget in budgets
        for name in families
    ]
    answered = [each.budget for each in answers if each.found]
    unanswered = [each for each in answers if each.budget not in answered]
    if as_json:
        told = {
            "ok": not unanswered,
            "image_size": image_size,
            "classes": classes,
            "device": predictor and _device(predictor),
            "searches": [_told(each, predictor) for each in answers],
        }
        print(json.dumps(told, indent=2, allow_nan=False))
    elif answered:
        search_table(answers, predictor)
    if not answered:
        raise GateFailed("; ".join(each.why_none for each in answers))
    if unanswered:
        budgets_told = dict.fromkeys(in_words(each.limits) for each in unanswered)
        raise GateFailed(f"no network fits within: {'; '.join(budgets_told)}")


@dataclass(frozen=True)
class Asked:
    """One search."""

    family: str
    budget: Budget
    device: str | None
    image_size: int
    classes: int

    @property
    def changes(self) -> dict[str, Any]:
        """{recipe key: value} with which a recipe asks for the same."""
        limits: dict[str, Any] = dict(limits_of(self.budget))
        if limits.keys() & set(PREDICTED):
            limits["device"] = self.device
        return {
            "student.family": self.family,
            "data.image_size": self.image_size,
            "budget": limits,
        }


def limits_of(budget: Budget) -> dict[str, int | float]:
    """The limits that a budget sets."""
    return {name: each for name, each in asdict(budget).items() if each is not None}


def _answer(asked: Asked, predictor: Predictor | None, top: int) -> Answer:
    found, why_none = None, ""
    nearest: tuple[Rejected, ...]
    try:
        found = search(
            asked.family,
            asked.budget,
            num_classes=asked.classes,
            image_size=asked.image_size,
            top=top,
            predicted=predictor.functions() if predictor else {},
        )
        weighed, nearest = found.weighed, found.rejected
    except NothingFits as nothing:
        weighed, nearest, why_none = nothing.weighed, nothing.nearest, str(nothing)
    return Answer(
        family=asked.family,
        budget=asked.budget,
        found=found,
        weighed=weighed,
        nearest=nearest,
        why_none=why_none,
        changes=asked.changes,
    )


def _told(answer: Answer, predictor: Predictor | None) -> dict[str, Any]:
    found = answer.found
    return {
        "family": answer.family,
        "budget": answer.limits,
        "weighed": answer.weighed,
        "fitting": found.fitting if found else 0,
        "best": [_network(each.spec, each.cost, predictor) for each in found.best] if found else [],
        "nearest": [
            _network(each.spec, each.cost, predictor) | {"binds": _binds(each.binds)}
            for each in answer.nearest
        ],
        "why_none": answer.why_none or None,
        "set": answer.changes,
    }


def _network(spec: Spec, cost: Cost, predictor: Predictor | None) -> dict[str, Any]:
    predicted = predictor.told(spec.layers(spec)) if predictor else {}
    return {
        "network": describe(spec),
        "spec": spec_to_json(spec),
        **asdict(cost),
        "latency_ms": predicted.get("latency_ms"),
        "energy_mj": predicted.get("energy_mj"),
    }


def _binds(limit: Limit) -> dict[str, Any]:
    return {"limit": limit.name, "allowed": limit.limit, "value": limit.value}


def _device(predictor: Predictor) -> dict[str, Any]:
    return {
        "name": predictor.name,
        "estimated": predictor.estimated,
        "source": predictor.source,
    }
