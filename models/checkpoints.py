"""Weights in and out: safetensors, or a user's checkpoint read without running any of its code."""

from __future__ import annotations

import json
import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .errors import BadInput

WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")  # DataParallel's and torch.compile's


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, on the CPU; `BadInput` when it holds anything else.

    `.safetensors` files are read as such, all others by torch.load with weights_only. A state_dict
    one level down under "state_dict", "model_state_dict" or "model" is found, and the prefixes of
    DataParallel and torch.compile are taken off.
    """
    if not path.is_file():
        raise BadInput(f"checkpoint {path}: no such file")
    loaded = _safetensors(path) if path.suffix == ".safetensors" else _torch_file(path)
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not loaded:
        raise BadInput(f"checkpoint {path}: expected names and tensors, found {_kind(loaded)}")
    weights = {str(name): value for name, value in loaded.items()}
    for name, value in weights.items():
        if not isinstance(value, Tensor):
            raise BadInput(
                f"checkpoint {path}: expected only tensors, found {_kind(value)} under {name!r};"
                " save model.state_dict() alone, or under the key 'state_dict'"
            )
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def save_weights(
    path: Path,
    weights: nn.Module | Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a safetensors file; the same tensors and metadata give the same bytes."""
    from safetensors.torch import save

    tensors = weights.state_dict() if isinstance(weights, nn.Module) else weights
    # Cloned, because safetensors refuses tied weights that share their memory.
    plain = {name: tensors[name].detach().cpu().contiguous().clone() for name in sorted(tensors)}
    path.write_bytes(_sorted_header(save(plain, dict(metadata or {}))))


def _sorted_header(content: bytes) -> bytes:
    """The same safetensors file with its header in a fixed order.

    safetensors writes metadata in the order of a hash map seeded anew in each process. The header
    is a little-endian u64 length and JSON padded with spaces to 8 bytes; tensor offsets count from
    the header's end, so they stay true.
    """
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        loaded: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadInput(f"checkpoint {path}: not a sound safetensors file ({error})") from error
    return loaded


def _torch_file(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # Of old pickle protocols and TorchScript archives: either it loads or it is refused.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"checkpoint {path}: holds pickled Python objects such as a whole module, or is no"
            " checkpoint; loading those would run code. Save the weights alone:"
            " torch.save(model.state_dict(), ...)"
        ) from error
    except Exception as error:  # torch's reader raises KeyError, EOFError, ... on damaged files
        if "TorchScript" in str(error):
            raise BadInput(
                f"checkpoint {path}: is a TorchScript program, not weights; save"
                " torch.jit.load(...).state_dict() instead"
            ) from error
        raise BadInput(
            f"checkpoint {path}: cannot be read ({type(error).__name__}: {_first_line(error)});"
            " is the file complete?"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]


def _kind(value: object) -> str:
    return "nothing" if isinstance(value, Mapping) and not value else type(value).__name__
