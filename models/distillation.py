"""What a student is trained on: a weighted list of loss terms, chosen by name.

>>> loss = Distillation([Term(name="kd", weight=0.9, options={"temperature": 2.0})])
>>> logits, labels = torch.zeros(4, 10), torch.zeros(4, dtype=torch.int64)
>>> {name: round(float(value), 4) for name, value in loss(logits, (), logits, (), labels).items()}
{'cross_entropy': 2.3026, 'kd': 0.0}
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .errors import BadInput
from .losses import graph_distillation, kd, rkd_distance


@dataclass(frozen=True, kw_only=True)
class Term:
    """One summand of the loss."""

    name: str
    """One of LOSSES."""
    weight: float = 1.0
    """Its factor; 0 leaves the term out."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the loss, such as temperature, power or neighbors."""


class Distillation:
    """The weighted terms of `terms`; cross_entropy stands in it with weight 1 unless listed.

    Names, options and their values are tried at once on a made-up batch, so that a mistake is
    refused (BadInput) before any training.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        listed = {term.name: term for term in terms}
        if len(listed) < len(terms):
            raise BadInput(f"a loss stands twice in {[term.name for term in terms]}; give it once")
        if "cross_entropy" not in listed:
            listed = {"cross_entropy": Term(name="cross_entropy"), **listed}
        for term in listed.values():
            _refuse_nonsense(term)
        self.terms = tuple(term for term in listed.values() if term.weight > 0)
        if not self.terms:
            raise BadInput("every loss has weight 0, so there is nothing to train on")

    def __call__(
        self,
        student_logits: Tensor,
        student_features: Sequence[Tensor],
        teacher_logits: Tensor | None,
        teacher_features: Sequence[Tensor],
        labels: Tensor,
    ) -> dict[str, Tensor]:
        """Each term times its weight, scalars by name; their sum is the loss.

        Logits (B, K), features one (B, ...) per block, labels (B,). Where needs_teacher is false,
        teacher_logits may be None; where needs_features is false, features may be empty.
        """
        batch = Outputs(
            student_logits=student_logits,
            student_features=student_features,
            teacher_logits=teacher_logits,
            teacher_features=teacher_features,
            labels=labels,
        )
        return {
            term.name: term.weight * LOSSES[term.name].compute(batch, **term.options)
            for term in self.terms
        }

    @property
    def needs_teacher(self) -> bool:
        """Whether a term compares with the teacher."""
        return any(LOSSES[term.name].needs_teacher for term in self.terms)

    @property
    def needs_features(self) -> bool:
        """Whether a term compares the features of blocks, not only the logits."""
        return any(LOSSES[term.name].needs_features for term in self.terms)


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What student and teacher gave for one batch."""

    student_logits: Tensor
    student_features: Sequence[Tensor]
    teacher_logits: Tensor | None
    teacher_features: Sequence[Tensor]
    labels: Tensor


def _cross_entropy(batch: Outputs, *, label_smoothing: float = 0.0) -> Tensor:
    return functional.cross_entropy(
        batch.student_logits.float(), batch.labels, label_smoothing=label_smoothing
    )


def _gkd(
    batch: Outputs,
    *,
    neighbors: int | None = None,
    power: int = 1,
    mask: str | None = None,
    reduction: str = "sum",
) -> Tensor:
    return graph_distillation(
        batch.student_features,
        batch.teacher_features,
        neighbors=neighbors,
        power=power,
        labels=batch.labels,
        mask=mask,
        reduction=reduction,
    )


def _kd(batch: Outputs, *, temperature: float = 4.0) -> Tensor:
    if batch.teacher_logits is None:
        raise BadInput("the loss kd needs the teacher's logits; none were given")
    return kd(batch.student_logits, batch.teacher_logits, temperature=temperature)


def _rkd_distance(batch: Outputs) -> Tensor:
    """The mean over the blocks, as for gkd, so that a weight means the same for any number."""
    pairs = list(zip(batch.student_features, batch.teacher_features, strict=True))
    if not pairs:
        raise BadInput("the loss rkd_distance needs the features of one block at least")
    return torch.stack([rkd_distance(ours, theirs) for ours, theirs in pairs]).mean()


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss by name: how it is computed, and from what."""

    compute: Callable[..., Tensor]
    needs_teacher: bool = True
    needs_features: bool = False


LOSSES: Mapping[str, Loss] = {
    "cross_entropy": Loss(compute=_cross_entropy, needs_teacher=False),
    "gkd": Loss(compute=_gkd, needs_features=True),
    "kd": Loss(compute=_kd),
    "rkd_distance": Loss(compute=_rkd_distance, needs_features=True),
}


def _refuse_nonsense(term: Term) -> None:
    if term.name not in LOSSES:
        near = difflib.get_close_matches(term.name, LOSSES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise BadInput(f"unknown loss {term.name!r}{hint} known: {', '.join(LOSSES)}")
    if not (math.isfinite(term.weight) and term.weight >= 0):
        raise BadInput(f"loss {term.name}: weight {term.weight}; expected a number, 0 or more")
    compute = LOSSES[term.name].compute
    known = [name for name in inspect.signature(compute).parameters if name != "batch"]
    for name in term.options:
        if name not in known:
            raise BadInput(
                f"loss {term.name}: unknown option {name!r}; known: {', '.join(known) or 'none'}"
            )
    zeros = torch.zeros(2, 2)
    batch = Outputs(
        student_logits=zeros,
        student_features=[zeros],
        teacher_logits=zeros,
        teacher_features=[zeros],
        labels=torch.zeros(2, dtype=torch.int64),
    )
    try:
        compute(batch, **term.options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadInput(f"loss {term.name} with {dict(term.options)}: {error}") from error
