"""Networks as the stages hand them on: a small JSON that says how to build one, and its weights.

teacher.json   {"model": "torchvision:resnet50", "options": {}, "num_classes": 10, ...}
student.json   {"spec": {"family": "wideresnet", ...}} or the teacher's form, for a fixed network
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .events import JSON

if TYPE_CHECKING:
    import torch
    from torch import nn

NETWORK = "edgestill.network"
BLOCKS = 3  # features compared when neither network says which: the last of three resolutions


def build_network(told: Mapping[str, Any], *, seed: int = 0) -> nn.Module:
    """The untrained network that the JSON describes."""
    from ..models.families import spec_from_json
    from ..models.student import build
    from ..models.teacher import teacher_from

    if "spec" in told:
        return build(spec_from_json(told["spec"]), seed=seed)
    return teacher_from(
        told["model"],
        num_classes=told["num_classes"],
        image_size=told["image_size"],
        options=told["options"],
        checkpoint=None,
        seed=seed,
        base=Path(),
    )


def load_network(description: Path, weights: Path, device: torch.device) -> nn.Module:
    """The network of `description` with the weights of a safetensors file, on `device`, eval."""
    from ..models.checkpoints import load_weights

    told = read_json(description)
    model = build_network(told)
    try:
        model.load_state_dict(load_weights(weights))
    except RuntimeError as error:
        raise BadInput(
            f"{told.get('model', 'the network')} no longer builds the network whose weights are in"
            f" {weights}: {' '.join(str(error).split())[:160]}; if a module that it imports has"
            " changed, change `version` in the same table of the recipe"
        ) from error
    return model.to(device).eval()


def described(checkpoint: Path) -> dict[str, Any] | None:
    """The network that a checkpoint of ours says it holds, None if it says nothing."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(checkpoint, framework="pt") as file:
            told = (file.metadata() or {}).get(NETWORK)
        return None if told is None else dict(json.loads(told))
    except (SafetensorError, ValueError, TypeError):
        return None


def naming(description: Mapping[str, Any]) -> dict[str, str]:
    """Metadata with which a checkpoint says what it holds; `described` reads it."""
    return {NETWORK: json.dumps(description, sort_keys=True)}


def blocks_of(told: Mapping[str, Any], model: nn.Module) -> tuple[str, ...]:
    """Module paths of the features to distill: those given, else the ones found."""
    import torch

    from ..models.taps import Tapped, find_blocks

    if told.get("blocks"):
        Tapped(model, told["blocks"]).close()  # refuses paths that lead nowhere
        return tuple(told["blocks"])
    size = size_of(told)
    device = next((each.device for each in model.parameters()), torch.device("cpu"))
    return find_blocks(model, torch.zeros(1, 3, size, size, device=device), BLOCKS)


def size_of(told: Mapping[str, Any]) -> int:
    """Pixels a side of the images that the network takes."""
    return int(told["spec"]["image_size"] if "spec" in told else told["image_size"])


def read_json(path: Path) -> Any:
    """The JSON in `path`."""
    return json.loads(path.read_text())


def write_json(path: Path, value: JSON | Mapping[str, Any] | list[Any]) -> None:
    """Write `value` so that equal values give equal bytes."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")
