"""Our own distillation as the stage distill runs it: fit, Teaching, frozen_teacher, Batches."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from edgestill.models.distillation import Distillation, Term
from edgestill.models.fold import feature_paths
from edgestill.models.taps import Tapped
from edgestill.pipeline.acceleration import precision
from edgestill.pipeline.batches import Batches
from edgestill.pipeline.data import open_data
from edgestill.pipeline.events import listening
from edgestill.pipeline.fit import fit
from edgestill.pipeline.recipe_file import load_recipe
from edgestill.pipeline.teaching import Teaching, frozen_teacher

from .turns import Task, answer, answer_ready, asked, given, networks

if TYPE_CHECKING:
    from torch import Tensor

    from edgestill.pipeline.recipe import Recipe, Training

FOREVER = 100_000


@dataclass(frozen=True)
class Turns:
    """Epochs of `steps` batches, each the start of an epoch of all the images."""

    batches: Batches
    steps: int

    def __len__(self) -> int:
        return self.steps

    @property
    def images(self) -> int:
        return self.steps * self.batches.batch_size

    def epoch(self, epoch: int, /) -> Iterator[tuple[Tensor, Tensor]]:
        return islice(self.batches.epoch(epoch), self.steps)


def main() -> None:
    """Take turns; the first epoch warms up."""
    task = given()

    def before_epoch(epoch: int) -> None:
        if epoch == 1:
            answer_ready(precision(settings_for(task), torch.device(task.device)))
        if epoch > 0 and not asked():
            sys.exit()

    def tell(kind: str, fields: dict[str, Any]) -> None:
        if kind == "epoch" and fields["epoch"] > 1:
            answer({"seconds": fields["seconds"]})

    with listening(tell):
        train(task, losses_for(task), epochs=FOREVER, before_epoch=before_epoch)


def train(
    task: Task,
    losses: Distillation,
    *,
    epochs: int,
    before_epoch: Callable[[int], None] | None = None,
    turns: Callable[[Batches], Turns] | None = None,
    watched: Callable[[Teaching], Teaching] = lambda teaching: teaching,
) -> None:
    """The product's own loop, with an epoch for a turn."""
    device = torch.device(task.device)
    teacher, student = networks()
    student.to(device)
    batches = images_for(task, device)
    teaching = Teaching(
        frozen_teacher(teacher, feature_paths(teacher), device),
        Tapped(student, feature_paths(student)),
        losses,
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(
            student,
            Turns(batches, task.steps) if turns is None else turns(batches),
            watched(teaching),
            settings_for(task).model_copy(update={"epochs": epochs}),
            state=Path(folder) / "fit.safetensors",
            seed=0,
            device=device,
            label="distill",
            before_epoch=before_epoch,
        )


def settings_for(task: Task) -> Training:
    """How the recipe distills, in the task's precision."""
    return recipe_for(task).distill.model_copy(update={"precision": task.precision})


def images_for(task: Task, device: torch.device) -> Batches:
    """The training split, cropped and flipped."""
    return open_data(recipe_for(task).data, device=device, base=Path()).train


def recipe_for(task: Task) -> Recipe:
    """The shipped recipe of this pair of networks, on the task's images."""
    changes = [f"data.source={task.source}", f"data.batch_size={task.batch_size}"]
    return load_recipe("cifar10", changes)


def losses_for(task: Task) -> Distillation:
    """Those of the rivals, with their weights."""
    if task.losses == "gkd + kd":
        weights = {"cross_entropy": 0.1, "kd": 0.9, "gkd": 25.0}
        return Distillation([Term(name=name, weight=weights[name]) for name in weights])
    options = {"blocks": "last"}
    return Distillation(
        [
            Term(name="rkd_distance", weight=25.0, options=options),
            Term(name="rkd_angle", weight=50.0, options=options),
        ]
    )


if __name__ == "__main__":
    main()
