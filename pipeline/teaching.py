"""A teacher at work: for each batch, the weighted loss terms of a student seeing the same view."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .events import emit

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ..models.distillation import Distillation

    Forward = Callable[[Tensor], tuple[Tensor, Sequence[Tensor]]]


class Teaching:
    """`teaching(images, labels)` gives {term: scalar}; their sum is the student's loss.

    `teacher` and `student` map images (B, 3, H, W) to logits (B, K) and a list of features.
    """

    def __init__(self, teacher: Forward, student: Forward, losses: Distillation) -> None:
        self.teacher = teacher
        self.student = student
        self.losses = losses

    def __call__(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        import torch

        logits, features = self.student(images)
        taught: tuple[Tensor | None, Sequence[Tensor]] = (None, ())
        if self.losses.needs_teacher:
            with torch.no_grad():
                taught = self.teacher(images)
        return self.losses(logits, features, *taught, labels)


def frozen_teacher(model: nn.Module, blocks: Sequence[str], device: torch.device) -> nn.Module:
    """The teacher for `Teaching`: BatchNorm folded, eval, no gradients, channels-last.

    Folding and channels-last halve its forward pass on a CPU. A teacher that torch.fx cannot trace
    teaches as it is.
    """
    import torch

    from ..models.fold import feature_paths, fold_batch_norm
    from ..models.taps import Tapped

    frozen, paths = model, tuple(blocks)
    try:
        frozen = fold_batch_norm(model, blocks=paths)
        paths = feature_paths(frozen)
    except BadInput as reason:
        emit("note", text=f"the teacher is not folded, so distilling takes longer: {reason}")
    tapped = Tapped(frozen, paths).eval().requires_grad_(False)
    return tapped.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def terms_of(losses: Iterable[Any]) -> Distillation:
    """The recipe's `losses` as one callable."""
    from ..models.distillation import Distillation, Term

    told = [loss.model_dump() for loss in losses]
    return Distillation(
        [Term(name=each.pop("name"), weight=each.pop("weight"), options=each) for each in told]
    )


def matched(teacher: Sequence[str], student: Sequence[str]) -> None:
    """Refuse block lists of different lengths: each pair is compared."""
    if len(teacher) != len(student):
        raise BadInput(
            f"the teacher gives {len(teacher)} blocks ({', '.join(teacher)}) and the student"
            f" {len(student)} ({', '.join(student)}); name as many with teacher.blocks or"
            " student.blocks"
        )
