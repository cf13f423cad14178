"""Candidates trained briefly under the teacher, with the recipe's real loss, until one is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..models.families import describe, spec_to_json
from ..models.search import Candidate
from .divergence import Diverged
from .events import emit
from .halving import Course, epochs_of, halve
from .inputs import Inputs
from .lessons import Instructor, Lessons
from .recipe import Distill, Recipe

WARM_UP = 0.25
"""Of a rung at most, however long the recipe's own warm-up is."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A candidate, how to build it, and what became of it."""

    candidate: Candidate
    description: dict[str, Any]
    """For student.json."""
    course: Course


def tried(
    candidates: Sequence[Candidate], instructor: Instructor, inputs: Inputs, settings: Recipe
) -> list[Tried]:
    """Every candidate after its last rung; one of them won.

    All start from the recipe's seed and see the same images in the same order and views. A rung has
    the recipe's schedule at its own length, and starts from the weights that the one before left.
    Of `inputs` the data are used, the processes, and the scratch folder for the positions.

    Raises:
        Diverged: the training of every one of them.
    """
    blocks = settings.student.blocks
    runners = []
    for number, each in enumerate(candidates):
        told = {"spec": spec_to_json(each.spec), "blocks": list(blocks) if blocks else None}
        runners.append(_Runner(number, told, describe(each.spec), instructor, inputs, settings))
    courses = halve(
        [each.cost.macs for each in candidates],
        settings.student.shortlist_epochs,
        lambda place, rung: runners[place].train(rung),
    )
    if courses is None:
        raise next(each.diverged for each in runners if each.diverged is not None)
    return [
        Tried(candidate=candidate, description=runner.description, course=course)
        for candidate, runner, course in zip(candidates, runners, courses, strict=True)
    ]


class _Runner:
    """One candidate under training."""

    def __init__(
        self,
        number: int,
        told: dict[str, Any],
        text: str,
        instructor: Instructor,
        inputs: Inputs,
        settings: Recipe,
    ) -> None:
        self.number, self.text, self.settings = number, text, settings
        self.lessons = Lessons(told, instructor, settings.distill, inputs, seed=settings.seed)
        self.description = {**told, "blocks": list(self.lessons.blocks)}
        self.epochs = 0
        self.diverged: Diverged | None = None

    def train(self, rung: int) -> float | None:
        """Its validation error after one more rung; None if the training diverged."""
        epochs = epochs_of(self.settings.student.shortlist_epochs, rung)
        try:
            history = self.lessons.train(
                shortened(self.settings.distill, epochs),
                state=f"{self.number}.{rung}.safetensors",
                label=f"shortlist {self.text}, rung {rung + 1}",
                after=self.epochs,
            )
        except Diverged as reason:
            self.diverged = reason
            emit("note", text=f"{reason}; it leaves the shortlist")
            return None
        self.epochs += epochs
        reached = history[-1]["top1"]
        assert reached is not None  # the validation images are looked at after every epoch
        return 1 - reached


def shortened(settings: Distill, epochs: int) -> Distill:
    """The recipe's training at another length, all of its schedule within it."""
    warm_up = min(settings.warmup_epochs, WARM_UP * epochs)
    return settings.model_copy(update={"epochs": epochs, "warmup_epochs": warm_up})
