"""Distillation losses: pure functions of what student and teacher give for one batch.

No gradient goes to the teacher. Everything is computed in float32 at least, also under autocast.
Features may differ in size between student and teacher; only the batch has to be the same.
"""

# B samples of the batch, K classes, D features of one sample

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .errors import BadInput
from .relation_graph import class_mask, gram, neighbor_mask, rows, similarity_graph


def graph_distillation(
    student_features: Sequence[Tensor],
    teacher_features: Sequence[Tensor],
    *,
    neighbors: int | None = None,
    power: int = 1,
    labels: Tensor | None = None,
    mask: str | None = None,
    reduction: str = "sum",
) -> Tensor:
    """How far the student's similarity graphs are from the teacher's, a scalar (GKD, its lambda 1).

    Two lists of features (B, ...), one pair per block: the mean over the blocks of the squared
    Frobenius norm of the difference. reduction="mean" divides it by B * B as well, which leaves
    the scale of the published weights (lambda = 25 belongs to "sum").

    neighbors: keep the edges of each sample's strongest neighbours on the TEACHER's graph.
    power: compare the powers of the graphs. mask: None, or "intra" / "inter" to compare only edges
    within / between the classes of `labels` (B,).

    Lassance et al. 2020 (arXiv 1911.03080), section 3. Raises BadInput where the blocks, the batch
    or the settings do not fit.
    """
    _same_blocks(student_features, teacher_features)
    if reduction not in ("sum", "mean"):
        raise BadInput(f"unknown reduction {reduction!r}; expected sum or mean")
    classes = None
    if mask is not None:
        if labels is None or labels.shape != student_features[0].shape[:1]:
            raise BadInput(f"mask {mask!r} needs the labels of the batch, one per sample")
        classes = class_mask(labels, mask)

    total = torch.zeros((), device=student_features[0].device)
    with torch.autocast(total.device.type, enabled=False):
        for student, teacher in zip(student_features, teacher_features, strict=True):
            edges = classes
            with torch.no_grad():
                target = similarity_graph(teacher, mask=classes)
                if neighbors is not None:
                    kept = neighbor_mask(target, neighbors)
                    target = target * kept
                    edges = kept if classes is None else kept * classes
                target = torch.linalg.matrix_power(target, power) if power > 1 else target
            squares = (similarity_graph(student, mask=edges, power=power) - target).square()
            total = total + (squares.sum() if reduction == "sum" else squares.mean())
    return total / len(student_features)


def kd(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float = 4.0) -> Tensor:
    """T^2 * KL(teacher || student) of the softened logits (B, K), mean over the batch, a scalar.

    Hinton, Vinyals, Dean 2015 (arXiv 1503.02531), section 2.
    """
    if not temperature > 0:
        raise BadInput(f"the temperature is {temperature}; expected more than 0")
    if student_logits.shape != teacher_logits.shape:
        raise BadInput(
            f"the student's logits are {tuple(student_logits.shape)} and the teacher's"
            f" {tuple(teacher_logits.shape)}; both must be (batch, classes) of the same classes"
        )
    with torch.autocast(student_logits.device.type, enabled=False):
        student = (rows(student_logits) / temperature).log_softmax(dim=1)
        teacher = (rows(teacher_logits.detach()) / temperature).log_softmax(dim=1)
        divergence = functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
        return divergence * temperature**2


def rkd_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Smooth-L1 mean between the two (B, B) distance matrices, each over its own mean, a scalar.

    Features (B, ...) of one block. The mean is over the positive distances, and the student's
    keeps its gradient. Park, Kim, Lu, Cho, "Relational knowledge distillation", CVPR 2019
    (arXiv 1904.05068), equation 6.
    """
    _same_blocks([student], [teacher])
    with torch.autocast(student.device.type, enabled=False):
        with torch.no_grad():
            target = _relative_distances(teacher)
        return functional.smooth_l1_loss(_relative_distances(student), target)


def _relative_distances(features: Tensor) -> Tensor:
    vectors = rows(features)
    # Distances do not change, and the subtraction below loses far fewer digits.
    products = gram(vectors - vectors.mean(dim=0))
    squares = products.diagonal()
    scale = squares[:, None] + squares[None, :]
    distances = scale - 2.0 * products
    # What is left of two equal samples is rounding, some eps of the products' size.
    rounding = 16.0 * torch.finfo(distances.dtype).eps
    apart = (distances > rounding * scale).fill_diagonal_(False)
    distances = torch.where(apart, torch.where(apart, distances, 1.0).sqrt(), 0.0)
    # Counted instead of indexed: a boolean index would wait for the device.
    mean = distances.sum() / apart.sum().clamp(min=1)
    return distances / torch.where(mean > 0, mean, 1.0)


def _same_blocks(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
    if len(student) != len(teacher) or not student:
        raise BadInput(
            f"the student gives features of {len(student)} blocks and the teacher of"
            f" {len(teacher)}; the same number is needed, and one at least"
        )
    for index, (ours, theirs) in enumerate(zip(student, teacher, strict=True)):
        if ours.dim() < 2 or theirs.dim() < 2 or len(ours) != len(theirs):
            raise BadInput(
                f"block {index + 1}: the student's features are {tuple(ours.shape)} and the"
                f" teacher's {tuple(theirs.shape)}; both must be (batch, ...) of the same batch"
            )
