"""The weighted list of loss terms: what is in it, and what is refused before training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from edgestill.models.distillation import LOSSES, Distillation, Term
from edgestill.models.errors import BadInput
from edgestill.models.losses import graph_distillation, kd, rkd_distance


class Batch:
    """Logits, features of two blocks and labels of six samples, student and teacher apart."""

    def __init__(self) -> None:
        chance = torch.Generator().manual_seed(0)

        def values(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=chance).relu()

        self.labels = torch.arange(6) % 4
        self.student = (values(6, 4), [values(6, 3, 4, 4), values(6, 5)])
        self.teacher = (values(6, 4), [values(6, 6, 4, 4), values(6, 9)])

    def through(self, loss: Distillation) -> dict[str, Tensor]:
        return loss(*self.student, *self.teacher, self.labels)


def test_every_term_is_the_loss_of_its_name_times_its_weight() -> None:
    batch = Batch()
    loss = Distillation(
        [
            Term(name="gkd", weight=25.0, options={"power": 2, "neighbors": 3, "mask": "inter"}),
            Term(name="kd", weight=0.9, options={"temperature": 2.0}),
            Term(name="rkd_distance", weight=3.0),
            Term(name="cross_entropy", weight=0.1),
        ]
    )

    terms = batch.through(loss)

    (logits, features), (teacher_logits, teacher_features) = batch.student, batch.teacher
    graphs = graph_distillation(
        features, teacher_features, power=2, neighbors=3, mask="inter", labels=batch.labels
    )
    distances = [rkd_distance(*pair) for pair in zip(features, teacher_features, strict=True)]
    expected = {
        "gkd": 25.0 * graphs,
        "kd": 0.9 * kd(logits, teacher_logits, temperature=2.0),
        "rkd_distance": 3.0 * (distances[0] + distances[1]) / 2,
        "cross_entropy": 0.1 * functional.cross_entropy(logits, batch.labels),
    }
    assert_close(terms, expected, rtol=1e-6, atol=0)


def test_the_labels_count_once_unless_the_list_says_otherwise() -> None:
    batch = Batch()

    terms = batch.through(Distillation([Term(name="kd", weight=0.9)]))

    plain = functional.cross_entropy(batch.student[0], batch.labels)
    assert list(terms) == ["cross_entropy", "kd"]
    assert_close(terms["cross_entropy"], plain, rtol=0, atol=0)


def test_a_term_of_weight_zero_is_not_computed() -> None:
    loss = Distillation([Term(name="gkd", weight=0.0)])

    terms = loss(Batch().student[0], (), None, (), Batch().labels)

    assert list(terms) == ["cross_entropy"]


@pytest.mark.parametrize(
    ("name", "teacher", "features"),
    [
        ("cross_entropy", False, False),
        ("kd", True, False),
        ("gkd", True, True),
        ("rkd_distance", True, True),
    ],
)
def test_a_loss_says_what_it_needs(name: str, teacher: bool, features: bool) -> None:
    loss = Distillation([Term(name=name)])

    assert (loss.needs_teacher, loss.needs_features) == (teacher, features)


@pytest.mark.parametrize(
    ("term", "complaint"),
    [
        ({"name": "gdk"}, "unknown loss 'gdk'; did you mean 'gkd'"),
        ({"name": "magic"}, "unknown loss 'magic'; known: cross_entropy, gkd"),
        ({"name": "kd", "weight": float("nan")}, "weight nan; expected a number, 0 or more"),
        ({"name": "kd", "weight": -1.0}, "weight -1.0; expected a number, 0 or more"),
        ({"name": "kd", "options": {"temprature": 2.0}}, "unknown option 'temprature'"),
        ({"name": "kd", "options": {"temperature": 0.0}}, "temperature is 0.0"),
        ({"name": "gkd", "options": {"power": 0}}, "power is 0"),
        ({"name": "gkd", "options": {"mask": "outer"}}, "unknown mask 'outer'"),
        ({"name": "cross_entropy", "weight": 0.0}, "nothing to train on"),
    ],
)
def test_a_term_that_makes_no_sense_is_refused_at_once(
    term: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BadInput, match=complaint) as refusal:
        Distillation([Term(**term)])

    assert "\n" not in str(refusal.value)


def test_a_loss_given_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="twice"):
        Distillation([Term(name="kd"), Term(name="kd", weight=2.0)])


def test_the_names_are_those_of_a_recipe() -> None:
    assert set(LOSSES) == {"cross_entropy", "gkd", "kd", "rkd_distance"}
