"""What TensorRT's engine inspector says of the layers it made of a network."""

from __future__ import annotations

import json
import re
from typing import Any


def layer_counts(text: str) -> dict[str, int] | None:
    """{"layers", "int8_layers"}: how many there are, and how many read or write INT8.

    None if the text is not the inspector's JSON, or has names alone: an engine that was built
    without detailed verbosity.
    """
    try:
        layers = json.loads(text)["Layers"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(layers, list) or not layers:
        return None
    if not all(isinstance(layer, dict) for layer in layers):
        return None
    return {"layers": len(layers), "int8_layers": sum(_is_int8(layer) for layer in layers)}


def _is_int8(layer: dict[str, Any]) -> bool:
    tensors = [*layer.get("Inputs", ()), *layer.get("Outputs", ())]
    formats = [str(tensor.get("Format/Datatype", "")) for tensor in tensors]
    return any(re.search(r"\bint8\b", told, re.IGNORECASE) for told in formats)
