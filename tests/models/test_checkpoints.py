"""Weights to and from files: exact, reproducible, and never by running a checkpoint's code."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgestill.models.checkpoints import load_weights, save_weights
from edgestill.models.errors import BadInput


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def same(found: dict[str, torch.Tensor], network: nn.Module) -> bool:
    wanted = network.state_dict()
    return set(found) == set(wanted) and all(torch.equal(found[n], wanted[n]) for n in wanted)


def test_a_module_comes_back_exactly(tmp_path: Path, network: nn.Module) -> None:
    save_weights(tmp_path / "w.safetensors", network, {"stage": "distill"})

    assert same(load_weights(tmp_path / "w.safetensors"), network)


def test_tied_and_transposed_tensors_can_be_saved(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)

    save_weights(tmp_path / "w.safetensors", {"a": shared, "b": shared, "c": shared.t()})

    found = load_weights(tmp_path / "w.safetensors")
    assert torch.equal(found["b"], shared)
    assert torch.equal(found["c"], shared.t())


def test_the_bytes_do_not_depend_on_any_order(tmp_path: Path) -> None:
    tensors = {"b": torch.ones(2), "a": torch.zeros(3, dtype=torch.int8)}
    metadata = {name: name for name in "qwertyuiop"}
    digests = set()

    # safetensors seeds a hash map for the metadata anew in every call, as in every process.
    for turn in (1, -1) * 4:
        save_weights(
            tmp_path / "w.safetensors",
            dict(list(tensors.items())[::turn]),
            dict(list(metadata.items())[::turn]),
        )
        digests.add(hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest())

    assert len(digests) == 1


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_wrapped_and_prefixed_checkpoints_are_unwrapped(
    tmp_path: Path, network: nn.Module, wrapper: str | None, prefix: str
) -> None:
    weights = {prefix + name: value for name, value in network.state_dict().items()}
    content: dict[str, Any] = {wrapper: weights, "epoch": 3} if wrapper else weights
    torch.save(content, tmp_path / "w.pt")

    assert same(load_weights(tmp_path / "w.pt"), network)


def test_a_pickled_module_is_refused_and_none_of_its_code_runs(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"state_dict": Trap()}, tmp_path / "trap.pt")
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pt")

    for name in ("trap.pt", "whole.pt"):
        with pytest.raises(BadInput, match=r"torch\.save\(model\.state_dict\(\)") as refused:
            load_weights(tmp_path / name)
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "sprung").exists()


def test_files_that_are_no_weights_are_refused_in_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "good.pt"
    torch.save(nn.Linear(2, 2).state_dict(), whole)
    contents = {
        "cut.pt": whole.read_bytes()[:400],
        "empty.pt": b"",
        "text.pth": b"hello there",
        "plain.pkl": pickle.dumps({"a": 1}),
        "text.safetensors": b"hello there, this is no header",
        "empty.safetensors": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)

    for name in [*contents, "absent.pt"]:
        with pytest.raises(BadInput, match=name) as refused:
            load_weights(tmp_path / name)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"weight": torch.ones(1), "epoch": 3}, "found int under 'epoch'"),
        ([torch.ones(1)], "found list"),
        ({}, "found nothing"),
    ],
)
def test_checkpoints_of_other_things_say_what_was_found(
    tmp_path: Path, content: Any, said: str
) -> None:
    torch.save(content, tmp_path / "w.pt")

    with pytest.raises(BadInput, match=said):
        load_weights(tmp_path / "w.pt")
