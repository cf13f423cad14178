"""Students trained side by side under one teacher: the same views, one forward pass of the teacher.

They have no parameter in common, so the gradient of the sum of their losses is each one's own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgestill.pipeline.data import Data
    from edgestill.pipeline.recipe import Training
    from edgestill.pipeline.teaching import Teaching


def train_side_by_side(
    students: Mapping[str, nn.Module],
    losses: Mapping[str, Any],
    teacher: nn.Module,
    data: Data,
    training: Training,
    *,
    state: Path,
    seed: int,
) -> None:
    """Train each student in place with its own `losses` of a recipe; `state` is the position."""
    import torch

    from edgestill.models.fold import feature_paths
    from edgestill.models.taps import Tapped
    from edgestill.pipeline.events import listening
    from edgestill.pipeline.fit import fit
    from edgestill.pipeline.teaching import Teaching, frozen_teacher, terms_of

    asked = _OncePerBatch(frozen_teacher(teacher, feature_paths(teacher), data.device))
    teachings = {
        name: Teaching(asked, Tapped(student, feature_paths(student)), terms_of(losses[name]))
        for name, student in students.items()
    }
    for each in teachings.values():
        each.fit_shapes(data.train, seed=seed)
    together = _Together(teachings)
    with listening(tell):
        fit(
            torch.nn.ModuleList(students.values()),
            data.train.seeded(seed),
            together,
            training,
            state=state,
            seed=seed,
            device=data.device,
            label=f"seed {seed}",
            before_epoch=together.starts,
            beside=torch.nn.ModuleList(each.losses for each in teachings.values()),
        )


def tell(kind: str, fields: Mapping[str, Any]) -> None:
    """Epochs and notes, on stderr."""
    if kind == "epoch":
        done = f"{fields['label']}: epoch {fields['epoch']} of {fields['epochs']}"
        print(f"{done}, {fields['seconds']:.0f} s", file=sys.stderr, flush=True)
    elif kind == "note":
        print(fields["text"], file=sys.stderr, flush=True)


class _OncePerBatch:
    """A teacher that several students ask about the same images."""

    def __init__(self, teacher: Any) -> None:
        self.teacher = teacher
        self.images: Tensor | None = None
        self.answer: Any = None

    def __call__(self, images: Tensor) -> Any:
        if images is not self.images:
            self.images, self.answer = images, self.teacher(images)
        return self.answer


class _Together:
    """The terms of all students, as `fit` wants them."""

    def __init__(self, teachings: Mapping[str, Teaching]) -> None:
        self.teachings = teachings

    def __call__(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {
            f"{name}: {term}": value
            for name, teaching in self.teachings.items()
            for term, value in teaching(images, labels).items()
        }

    def starts(self, epoch: int) -> None:
        for teaching in self.teachings.values():
            teaching.starts(epoch)
