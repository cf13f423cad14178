"""Two processes with half a batch each find what one process finds with the whole.

This file is also the program of those processes: `main(folder, rank, count)` leaves in the folder
what process `rank` of `count` found. Of 1 it is the reference: it takes the joined batch through
plain torch, with no process group and no module of those under test.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.testing import assert_close

from edgestill.models.distillation import LOSSES, Distillation, Outputs, Term

BATCH, CLASSES = 12, 4
WIDTH = {"student": 6, "teacher": 10}
KINDS = {"float32": torch.float32, "float64": torch.float64}
# Rounding: float32 as promised, and float64 to show that nothing but rounding is left.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

Found = dict[str, Tensor]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_and_every_gradient_are_those_of_the_joined_batch(
    found: dict[str, Found], name: str, kind: str
) -> None:
    prefix = f"{kind} {name} "

    alone = {key: value for key, value in found["alone"].items() if key.startswith(prefix)}

    assert {"loss", "student.body.0.weight", "student.body.1.bias"} <= {
        key.removeprefix(prefix) for key in alone
    }
    assert any(value.abs().max() > 0 for key, value in alone.items() if "student" in key)
    for rank in "01":
        for key, value in alone.items():
            size = max(1.0, float(value.abs().max()))
            gap = float((found[rank][key] - value).abs().max())
            assert gap <= TOLERANCE[kind] * size, f"{key} of process {rank}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_gathered_batch_stands_in_the_order_of_the_ranks(
    found: dict[str, Found], kind: str
) -> None:
    key = f"{kind} gathered"

    assert_close(found["0"][key], found["alone"][key], rtol=0, atol=0)
    assert_close(found["1"][key], found["alone"][key], rtol=0, atol=0)


def test_the_gradient_of_a_gathered_shard_is_the_sum_of_what_all_processes_ask(
    found: dict[str, Found],
) -> None:
    # Process r weights row i of the joined batch (4 rows) by (r + 1) * (i + 1): 3 * (i + 1) in all.
    assert found["0"]["asked"].tolist() == [[3.0], [6.0]]
    assert found["1"]["asked"].tolist() == [[9.0], [12.0]]


def test_a_channels_last_shard_gets_its_gradient_in_its_own_order(found: dict[str, Found]) -> None:
    weights = torch.arange(4 * 2 * 3 * 3, dtype=torch.float32).reshape(4, 2, 3, 3)

    assert_close(found["0"]["asked image"], 2 * weights[:2], rtol=0, atol=0)
    assert_close(found["1"]["asked image"], 2 * weights[2:], rtol=0, atol=0)


def test_both_processes_hold_the_same_bits(found: dict[str, Found]) -> None:
    for key, value in found["0"].items():
        if not key.startswith("asked"):
            assert torch.equal(value, found["1"][key]), key


class Network(nn.Module):
    """Logits and the features of two blocks."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.deep = nn.Sequential(nn.Conv2d(width, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        first = self.body(images)
        second = self.deep(first)
        return self.head(second.mean(dim=(2, 3))), [first, second]


def outputs_of(student: nn.Module, teacher: nn.Module, chance: Tensor, labels: Tensor) -> Outputs:
    logits, features = student(chance)
    virtual, _ = student(chance.flip(3))
    with torch.no_grad():
        taught, known = teacher(chance)
        taught_virtual, _ = teacher(chance.flip(3))
    return Outputs(
        student_logits=logits,
        student_features=features,
        teacher_logits=taught,
        teacher_features=known,
        labels=labels,
        student_virtual_logits=virtual,
        teacher_virtual_logits=taught_virtual,
    )


def one_step(name: str, kind: str, mine: slice, *, several: bool) -> Found:
    """The loss, the gradients and the running statistics after a step on the shard `mine`."""
    from contextlib import nullcontext

    from edgestill.models.global_batch import average_gradients, gathered
    from edgestill.models.global_statistics import over_processes

    torch.manual_seed(0)
    student, teacher = (Network(width).to(KINDS[kind]) for width in WIDTH.values())
    images = (1 + torch.randn(BATCH, 3, 8, 8, dtype=torch.float64)).to(KINDS[kind])
    labels = torch.arange(BATCH) % CLASSES
    losses = Distillation(
        [Term(name="cross_entropy", weight=0.5), Term(name=name)][name == "cross_entropy" :]
    )
    teacher.eval()
    losses.fit_shapes(outputs_of(student.eval(), teacher, images[:2], labels[:2]))
    losses.to(KINDS[kind])
    student.train()

    with over_processes(student) if several else nullcontext():
        outputs = outputs_of(student, teacher, images[mine], labels[mine])
        loss = sum(losses(gathered(outputs) if several else outputs).values(), torch.zeros(()))
        torch.autograd.backward(loss)
    both = nn.ModuleDict({"student": student, "losses": losses})
    if several:
        average_gradients(both.parameters())
    gradients = {key: p.grad for key, p in both.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **gradients, **dict(both.named_buffers())}


def main(folder: Path, rank: int, count: int) -> None:
    import torch.distributed as dist

    from edgestill.models.global_batch import gather

    mine = slice(rank * BATCH // count, (rank + 1) * BATCH // count)
    left: Found = {}
    if count > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=count
        )
        left |= asked_for(rank)
    for kind, dtype in KINDS.items():
        rows = torch.arange(BATCH, dtype=dtype)[:, None]
        left[f"{kind} gathered"] = gather(rows[mine]) if count > 1 else rows
        for name in LOSSES:
            step = one_step(name, kind, mine, several=count > 1)
            left |= {f"{kind} {name} {key}": value for key, value in step.items()}
    save_file(
        {key: value.contiguous().clone() for key, value in left.items()},
        folder / f"{rank}-{count}.st",
    )
    if count > 1:
        dist.destroy_process_group()


def asked_for(rank: int) -> Found:
    """Gradients of a shard of two samples, for weights that the tests know."""
    from edgestill.models.global_batch import gather

    shard = torch.zeros(2, 1, requires_grad=True)
    torch.autograd.backward((gather(shard) * (rank + 1) * torch.arange(1.0, 5.0)[:, None]).sum())
    image = torch.zeros(2, 2, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    joined = gather(image)
    assert joined.is_contiguous(memory_format=torch.channels_last)
    torch.autograd.backward((joined * torch.arange(72.0).reshape(4, 2, 3, 3)).sum())
    assert shard.grad is not None and image.grad is not None
    return {"asked": shard.grad, "asked image": image.grad}
