"""Where the time of our step goes, and what freezing the teacher is worth: one answer."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from edgestill.models.fold import feature_paths
from edgestill.models.taps import Tapped
from edgestill.pipeline.acceleration import precision
from edgestill.pipeline.teaching import Teaching, frozen_teacher

from .edgestill_loop import Turns, images_for, losses_for, settings_for, train
from .turns import WARM_UP_STEPS, Task, answer, answer_ready, given, networks, synchronize

if TYPE_CHECKING:
    from torch import Tensor

RUNS = 9


class Laps:
    """Seconds by part: each lap goes from the one before."""

    def __init__(self, device: str) -> None:
        self.device, self.last = device, perf_counter()
        self.seconds: dict[str, list[float]] = {}

    def lap(self, part: str) -> None:
        synchronize(self.device)
        now = perf_counter()
        self.seconds.setdefault(part, []).append(now - self.last)
        self.last = now


def main() -> None:
    """Answer once."""
    task = given()
    answer_ready()
    answer({"parts_s": parts(task), "teacher_s": teachers(task)})


def parts(task: Task) -> dict[str, float]:
    """Median seconds of the parts of a step, within the product's own loop."""
    laps = Laps(task.device)

    class Lapped(Turns):
        def epoch(self, epoch: int, /) -> Iterator[tuple[Tensor, Tensor]]:
            for pair in super().epoch(epoch):
                laps.lap("data")
                yield pair

    class Watched(Teaching):
        def __init__(self, teaching: Teaching) -> None:
            super().__init__(self.taught, teaching.student, teaching.losses)
            self.frozen = teaching.teacher
            teaching.student.register_forward_hook(lambda *_: laps.lap("student forward"))
            teaching.losses.register_forward_hook(lambda *_: laps.lap("losses"))

        def taught(self, images: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
            result = self.frozen(images)
            laps.lap("teacher forward")
            return result

    register_optimizer_step_pre_hook(lambda *_: laps.lap("backward"))
    register_optimizer_step_post_hook(lambda *_: laps.lap("optimizer"))
    train(
        task,
        losses_for(task),
        epochs=1,
        turns=lambda batches: Lapped(batches, WARM_UP_STEPS + task.steps),
        watched=Watched,
    )
    return {
        part: statistics.median(seconds[WARM_UP_STEPS:]) for part, seconds in laps.seconds.items()
    }


def teachers(task: Task) -> dict[str, float]:
    """Median seconds of the teacher's forward pass: as it is, frozen, and in the step's precision.

    Frozen is as `frozen_teacher` makes it.
    """
    device = torch.device(task.device)
    teacher = networks()[0].to(device)
    blocks = feature_paths(teacher)
    images = images_for(task, device).some(range(task.batch_size))[0]
    frozen = frozen_teacher(teacher, blocks, device)
    in_order = images.contiguous(memory_format=torch.channels_last)
    mixed = precision(settings_for(task), device) == "bfloat16"
    forms: dict[str, Any] = {
        "as it is": (Tapped(teacher, blocks), images, False),
        "frozen": (frozen, in_order, False),
        "in the step": (frozen, in_order, mixed),
    }
    laps = Laps(task.device)
    with torch.no_grad():
        for _ in range(RUNS + 1):
            for name, (network, view, mixed) in forms.items():
                laps.lap("")
                with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                    network(view)
                laps.lap(name)
    return {name: statistics.median(laps.seconds[name][1:]) for name in forms}


if __name__ == "__main__":
    main()
