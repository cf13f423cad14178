"""The saved position: restored to the bit, and refused when it is damaged or another run's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from edgestill.pipeline.fit_state import Position, Unusable, digest, load_state, save_state
from edgestill.pipeline.optim import optimizer
from edgestill.pipeline.recipe import Training

POSITION = Position(
    history=[{"epoch": 1, "loss": 0.1 + 0.2, "terms": {"kd": 1e-17}, "top1": None, "lr": 0.1}],
    first_loss=2.3,
)
IDENTITY: dict[str, Any] = {"epochs": 3, "milestones": (0.3, 0.6), "seed": 0}


def trained(name: Any, *, steps: int = 2, seed: int = 0) -> tuple[nn.Module, Optimizer]:
    """A small channels-last network after some steps, so that its optimizer remembers something."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3))
        model.to(memory_format=torch.channels_last)
        stepper = optimizer(model.parameters(), Training(epochs=1, optimizer=name))
        for _ in range(steps):
            stepper.zero_grad()
            torch.autograd.backward(model(torch.randn(4, 3, 8, 8)).square().sum())
            stepper.step()
    return model, stepper


def one_more_step(model: nn.Module, stepper: Optimizer) -> str:
    """The weights after a step that depends on everything saved."""
    stepper.zero_grad()
    torch.autograd.backward(model(torch.ones(4, 3, 8, 8)).square().sum())
    stepper.step()
    return digest(model.state_dict())


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_restored_run_takes_the_same_next_step(tmp_path: Path, name: Any) -> None:
    model, stepper = trained(name)
    save_state(tmp_path / "state", POSITION, IDENTITY, model, stepper)
    fresh, fresh_stepper = trained(name, steps=0, seed=1)

    position = load_state(tmp_path / "state", IDENTITY, fresh, fresh_stepper)

    assert position == POSITION
    assert one_more_step(fresh, fresh_stepper) == one_more_step(model, stepper)


def test_without_a_file_there_is_no_position(tmp_path: Path) -> None:
    assert load_state(tmp_path / "state", IDENTITY, *trained("sgd")) is None


def test_only_the_file_itself_is_left(tmp_path: Path) -> None:
    save_state(tmp_path / "state", POSITION, IDENTITY, *trained("sgd"))

    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_weights_that_share_memory_are_saved(tmp_path: Path) -> None:
    tied = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    tied[1].weight = tied[0].weight
    stepper = optimizer(tied.parameters(), Training(epochs=1))

    save_state(tmp_path / "state", POSITION, IDENTITY, tied, stepper)

    assert load_state(tmp_path / "state", IDENTITY, tied, stepper) == POSITION


def test_a_flipped_byte_anywhere_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_state(path, POSITION, IDENTITY, *trained("sgd"))
    content = path.read_bytes()
    model, stepper = trained("sgd", steps=0, seed=1)
    before = digest(model.state_dict())

    for place in range(0, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(Unusable):
            load_state(path, IDENTITY, model, stepper)

    assert digest(model.state_dict()) == before


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_truncated_file_is_noticed(tmp_path: Path, size: int) -> None:
    path = tmp_path / "state"
    save_state(path, POSITION, IDENTITY, *trained("sgd"))
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(Unusable, match="damaged"):
        load_state(path, IDENTITY, *trained("sgd"))


def test_another_run_is_told_by_what_differs(tmp_path: Path) -> None:
    save_state(tmp_path / "state", POSITION, IDENTITY, *trained("sgd"))

    with pytest.raises(Unusable, match=r"another training run: epochs 3, now 5$"):
        load_state(tmp_path / "state", {**IDENTITY, "epochs": 5}, *trained("sgd"))


def test_a_full_disk_leaves_the_last_position(tmp_path: Path, monkeypatch: Any) -> None:
    path, (model, stepper) = tmp_path / "state", trained("sgd")
    save_state(path, POSITION, IDENTITY, model, stepper)
    content = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_state(path, POSITION, IDENTITY, model, stepper)

    assert [file.read_bytes() for file in tmp_path.iterdir()] == [content]
