"""Training in bfloat16: what is rounded, what is not, and how far the rounding goes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgestill.models.fold import feature_paths
from edgestill.models.relation_graph import similarity_graph
from edgestill.models.taps import Tapped
from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline.events import listening
from edgestill.pipeline.fit import fit
from edgestill.pipeline.fit_state import digest
from edgestill.pipeline.recipe import Distill, Training
from edgestill.pipeline.teaching import Teaching, frozen_teacher, terms_of

CPU = torch.device("cpu")
HALF = Training(epochs=1, precision="bfloat16")
SAMPLES = 16

UNIT = 2.0**-8
"""The largest relative error of one rounding to bfloat16, which has 8 significant bits."""
ROUNDINGS = 2 * 7 + 3
"""Along the longest path of WRN10: weights and results of 7 convolutions, and 3 additions."""
ROUNDED = math.sqrt(ROUNDINGS) * UNIT
"""Relative error of features: roundings are independent, so their squares add."""


class Noise:
    """Three batches of noise."""

    images = 3 * SAMPLES

    def __len__(self) -> int:
        return 3

    def epoch(self, epoch: int, /) -> Iterator[tuple[Tensor, Tensor]]:
        chance = torch.Generator().manual_seed(epoch)
        for _ in range(3):
            images = torch.randn(SAMPLES, 3, 16, 16, generator=chance)
            yield images, torch.arange(SAMPLES) % 10


def network(width: float, seed: int) -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return WideResNet.scaled(depth=10, width=width, image_size=16).network()


def teaching(student: nn.Module, seed: int) -> Teaching:
    """The shipped losses."""
    teacher = network(1.0, seed)
    return Teaching(
        frozen_teacher(teacher, feature_paths(teacher), CPU),
        Tapped(student, feature_paths(student)),
        terms_of(Distill().losses),
    )


def in_bfloat16(enabled: bool = True) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled)


def train(
    state: Path, settings: Training, watch: Callable[[Tensor], None] = lambda logits: None
) -> tuple[nn.Module, list[str]]:
    """The trained network, and what was said; `watch` gets the logits of every forward pass."""
    model, said = network(0.5, 1), []

    def logits_of(images: Tensor) -> Tensor:
        logits: Tensor = model(images)
        watch(logits)
        return logits

    def hear(kind: str, fields: Any) -> None:
        if kind == "note":
            said.append(fields["text"])

    with listening(hear):
        fit(
            model,
            Noise(),
            lambda images, labels: {
                "ce": functional.cross_entropy(logits_of(images).float(), labels)
            },
            settings,
            state=state,
            seed=0,
            device=CPU,
            label="teacher",
            evaluate=lambda _: float(logits_of(torch.zeros(2, 3, 16, 16)).sum()),
        )
    return model, said


def test_weights_statistics_and_evaluation_stay_float32(tmp_path: Path) -> None:
    kinds: list[torch.dtype] = []

    model, _ = train(tmp_path / "state", HALF, lambda logits: kinds.append(logits.dtype))

    assert kinds == [torch.bfloat16] * 3 + [torch.float32]
    kept = [value.dtype for value in model.state_dict().values() if value.is_floating_point()]
    assert set(kept) == {torch.float32}


def test_what_began_in_bfloat16_does_not_go_on_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def processor(**instructions: bool) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)

    processor(avx512_bf16=True)
    train(tmp_path / "state", Training(epochs=1))

    processor(avx512_bf16=False)
    model, said = train(tmp_path / "state", Training(epochs=1))

    expected, _ = train(tmp_path / "other", Training(epochs=1, precision="float32"))
    assert "precision bfloat16, now float32" in said[0]
    assert digest(model.state_dict()) == digest(expected.state_dict())


@pytest.mark.parametrize("seed", range(3))
def test_the_teachers_graphs_are_those_of_float32_within_the_rounding(seed: int) -> None:
    teacher = teaching(network(0.5, 1), seed).teacher
    (images, _), *_ = Noise().epoch(seed)

    with torch.no_grad():
        _, exact = teacher(images)
        with in_bfloat16():
            _, rounded = teacher(images)

    edges = ~torch.eye(SAMPLES, dtype=torch.bool)
    for block, half in zip(exact, rounded, strict=True):
        assert half.dtype == torch.bfloat16
        vectors = block.flatten(1)
        error = (half.float().flatten(1) - vectors).norm(dim=1) / vectors.norm(dim=1)
        assert float(error.max()) < ROUNDED

        # A cosine moves by the angles of both its vectors; an edge by that of its cosine and, in
        # the square root of two degrees, by as much again.
        cosines = functional.normalize(vectors) @ functional.normalize(vectors).T
        bound = 4 * float(error.max()) / float(cosines[edges].min())
        graph = similarity_graph(block)
        moved = (similarity_graph(half) - graph).abs() / graph.clamp(min=1e-9)
        assert float(moved[edges].max()) < bound < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_a_step_goes_the_way_of_float32(seed: int) -> None:
    student = network(0.5, seed + 10)
    taught = teaching(student, seed)
    (images, labels), *_ = Noise().epoch(seed)

    found = []
    for enabled in (False, True):
        student.zero_grad()
        with in_bfloat16(enabled):
            loss = torch.stack(list(taught(images, labels).values())).sum()
        torch.autograd.backward(loss)
        gradient = torch.cat([weight.grad.flatten() for weight in student.parameters()])  # type: ignore[union-attr]
        found.append((float(loss.detach()), gradient))
    (exact, single), (rounded, half) = found

    assert rounded == pytest.approx(exact, rel=ROUNDED)
    # What is normalised and within its rounding of 0 may get another sign there: of N(0, 1), a
    # share ROUNDED * E|N| * density(0) = 0.32 ROUNDED. Of the half that passes each of 7 ReLUs,
    # that takes the gradient of twice this share, or gives it; squares add.
    assert float((half - single).norm() / single.norm()) < math.sqrt(7 * 2 * 0.32 * ROUNDED)
    assert half.dtype == torch.float32
