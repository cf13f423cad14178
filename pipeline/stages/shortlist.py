"""Stage shortlist: of the networks that fit, the one that learns best; or the largest at once.

Leaves student.json (how to build the chosen one) and candidates.json: the search's list, and of
every network that was tried what it came to after each rung, and when and why it was dropped.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...models.search import Candidate, search
from ...models.shortlist import shortlist
from ..brief_training import Tried, tried
from ..candidate_rows import facts, listed, note_extrapolation
from ..events import JSON
from ..inputs import Inputs
from ..lessons import Instructor
from ..networks import read_json, write_json
from ..predicting import Predictor, predictor_for
from ..recipe import Recipe

POOL = 2000
"""The largest networks that fit, of which the shortlist is drawn."""


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """Pass on what the search chose, or train some of what fits and choose by validation error."""
    metrics = inputs.artifacts["search"].manifest.metrics
    device = predictor_for(settings.budget.limits(), settings.budget.device)
    candidates = _drawn(inputs, settings, device)
    if len(candidates) < 2:
        for name in ("student.json", "candidates.json"):
            shutil.copyfile(inputs["search"] / name, out / name)
        return {**metrics, "headline": f"{metrics['student']}: nothing to choose among"}
    found = tried(candidates, Instructor.of_stage(inputs), inputs, settings)
    best = next(each for each in found if each.course.won)
    write_json(out / "student.json", best.description)
    weighed = read_json(inputs["search"] / "candidates.json")
    write_json(out / "candidates.json", _rows(found, device, weighed))
    chosen = facts(best.candidate, device)
    note_extrapolation(device, chosen["predicted"])
    return {
        **chosen,
        "weighed": metrics["weighed"],
        "headline": f"{chosen['student']}: {best.course.why}",
    }


def _drawn(inputs: Inputs, settings: Recipe, device: Predictor | None) -> tuple[Candidate, ...]:
    """The networks to try; none where the recipe names the network, or asks for the largest."""
    told = settings.student
    if told.shortlist == 1 or told.model is not None:
        return ()
    budget = settings.budget.limits()
    found = search(
        told.family,
        budget,
        num_classes=inputs.data.num_classes,
        image_size=settings.data.image_size,
        top=POOL,
        predicted=device.functions() if device else {},
    )
    return shortlist(found.best, told.shortlist, budget)


def _rows(
    found: Sequence[Tried], device: Predictor | None, weighed: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of candidates.json: those that were tried, then what the search listed else."""
    own = [
        {
            **listed(
                each.candidate,
                device,
                fits=True,
                chosen=each.course.won,
                why=each.course.why,
            ),
            **each.course.told(),
        }
        for each in found
    ]
    names = {row["spec"] for row in own}
    return [*own, *(row for row in weighed if row["spec"] not in names)]
