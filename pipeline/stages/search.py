"""Stage search: the network that fits the budget.

Leaves student.json (how to build it) and candidates.json (what was weighed and why it lost).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...models.budget import Budget
from ...models.cost import Cost
from ...models.errors import GateFailed
from ...models.families import describe, spec_to_json
from ...models.search import search
from ..events import JSON
from ..inputs import Inputs
from ..networks import blocks_of, build_network, write_json
from ..outside import module_hash
from ..recipe import Recipe


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """The largest network that fits, or the fixed one held to the budget."""
    budget = Budget(**settings.budget.model_dump())
    classes, size = inputs.data.num_classes, settings.data.image_size
    blocks = list(settings.student.blocks) if settings.student.blocks else None
    if settings.student.model is not None:
        told: dict[str, Any] = {
            "model": settings.student.model,
            "options": {},
            "num_classes": classes,
            "image_size": size,
            "module": module_hash(settings.student.model),
            "version": settings.student.version,
        }
        text, cost, weighed = settings.student.model, _held(budget, told, size), 1
        candidates = [_candidate(text, cost, fits=True, chosen=True, why="the only one given")]
    else:
        found = search(settings.student.family, budget, num_classes=classes, image_size=size)
        best = found.best[0]
        told, cost, weighed = {"spec": spec_to_json(best.spec)}, best.cost, found.weighed
        text = describe(best.spec)
        candidates = [
            _candidate(text, cost, fits=True, chosen=True, why="most MACs of those that fit"),
            *(
                _candidate(describe(each.spec), each.cost, fits=True, why="fits, with fewer MACs")
                for each in found.frontier
                if each.spec != best.spec
            ),
            *(
                _candidate(
                    describe(each.spec),
                    each.cost,
                    fits=False,
                    why=f"{each.binds.name} {each.binds.value:,} over {each.binds.limit:,}",
                )
                for each in found.rejected
            ),
        ]
    # Here and not when distilling: a path that leads nowhere must not cost the teacher's training.
    description = {**told, "blocks": blocks}
    found_blocks = blocks_of(description, build_network(description))
    write_json(out / "student.json", {**description, "blocks": list(found_blocks)})
    write_json(out / "candidates.json", candidates)
    return {
        "student": text,
        "weighed": weighed,
        "macs": cost.macs,
        "params": cost.params,
        "bytes_fp32": cost.bytes_fp32,
        "bytes_int8": cost.bytes_int8,
        "peak_activation_bytes": cost.peak_activation_bytes,
        "headline": f"{text}: {cost.macs:,} MACs, {cost.params:,} parameters; {weighed:,} weighed",
    }


def _held(budget: Budget, told: dict[str, Any], size: int) -> Cost:
    from ...models.measure import measure

    cost = measure(build_network(told), (3, size, size))
    broken = [limit for limit in budget.limits(cost) if not limit.met]
    if broken:
        over = ", ".join(f"{limit.name} {limit.value:,} over {limit.limit:,}" for limit in broken)
        raise GateFailed(f"the student {told['model']} does not fit the budget: {over}")
    return cost


def _candidate(
    text: str, cost: Cost, *, fits: bool, why: str, chosen: bool = False
) -> dict[str, Any]:
    return {
        "spec": text,
        "macs": cost.macs,
        "params": cost.params,
        "fits": fits,
        "chosen": chosen,
        "why": why,
    }
