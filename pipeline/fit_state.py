"""A training run's position on disk: after any kill it goes on, and ends with the same bytes.

One safetensors file holds the tensors of the network ("model.") and of the optimizer
("optimizer."), and as metadata the run it belongs to, the epochs done, their records, and a sha256
over all of it. It is written beside its place and moved there: complete, or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

VERSION = 1


class EpochRecord(TypedDict):
    """What one epoch came to. No times: these records go into files of reproducible bytes."""

    epoch: int
    """Counted from 1."""
    loss: float
    """Mean over the training images seen."""
    terms: dict[str, float]
    """The weighted terms whose sum is the loss."""
    top1: float | None
    """Fraction right on the validation images; None where they were not looked at."""
    lr: float
    """The learning rate of the epoch's last step."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far a training run has come."""

    history: list[EpochRecord]
    """One record per epoch done."""
    first_loss: float
    """The loss of the first step of all."""


class Unusable(Exception):
    """A saved state that cannot be continued from; the message says why."""


def save_state(
    path: Path,
    position: Position,
    identity: Mapping[str, Any],
    model: nn.Module,
    optimizer: Optimizer,
) -> None:
    """Put the run's state at `path`, durably and at once. Raises OSError, as for a full disk."""
    from safetensors.torch import save

    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:  # SGD without momentum keeps a None
                tensors[f"optimizer.{index}.{name}"] = value
    # Copied one by one: safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: value.to("cpu", copy=True).contiguous() for name, value in tensors.items()}
    text = json.dumps(
        {
            "version": VERSION,
            "identity": dict(identity),
            "history": position.history,
            "first_loss": position.first_loss,
        }
    )
    content = save(tensors, {"state": text, "sha256": digest(tensors, text)})
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def load_state(
    path: Path, identity: Mapping[str, Any], model: nn.Module, optimizer: Optimizer
) -> Position | None:
    """The position saved at `path`, now that of `model` and `optimizer`; None without a file.

    Raises Unusable for a damaged file or one of another run; then nothing was changed.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        text = metadata["state"]
        if digest(tensors, text) != metadata["sha256"]:
            raise Unusable("its content is not what was written")
        saved = json.loads(text)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise Unusable(f"it is damaged ({error})") from error

    if saved["version"] != VERSION:
        raise Unusable(f"it has format {saved['version']}, and this is format {VERSION}")
    if changed := _changes(saved["identity"], identity):
        raise Unusable(f"it belongs to another training run: {changed}")

    weights, momenta = _sorted_out(tensors)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, values in momenta.items():
        for name, value in values.items():
            if value.shape == parameters[index].shape:
                # In the parameter's memory order, which safetensors does not keep.
                values[name] = torch.empty_like(parameters[index].detach()).copy_(value)
    model.load_state_dict(weights)
    optimizer.load_state_dict(
        {"state": momenta, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    return Position(history=saved["history"], first_loss=saved["first_loss"])


def digest(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """sha256 over names, types, shapes and bytes of the tensors, and over `text`."""
    import torch

    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _sorted_out(
    tensors: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[int, dict[str, Tensor]]]:
    weights: dict[str, Tensor] = {}
    momenta: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, rest = name.split(".", 1)
        if kind == "model":
            weights[rest] = value
        else:
            index, quantity = rest.split(".", 1)
            momenta.setdefault(int(index), {})[quantity] = value
    return weights, momenta


def _changes(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What differs, as `lr 0.1, now 0.2`; empty where nothing does."""
    differences = []
    # Through JSON, in which the saved one has been: tuples are lists there.
    now = json.loads(json.dumps(dict(wanted)))
    for name in sorted({*saved, *now}):
        if saved.get(name) != now.get(name):
            differences.append(f"{name} {saved.get(name)}, now {now.get(name)}")
    return "; ".join(differences)
