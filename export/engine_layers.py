"""Engine layers: the JSON that TensorRT's engine inspector writes, checked and made small.

`{"Layers": [{"Name", "LayerType", "Inputs": [{"Name", "Format/Datatype"}], "Weights": {"Type"},
"TacticName", "Metadata", ...}], "Bindings": [...]}`. TensorRT 8.6 tells by `Name` which ONNX nodes
a layer holds ("conv1 + relu1"), 10 and later by `Metadata` ("[ONNX Layer: conv1]", one after the
other). Layers of its newer compiler ("gemm", "kgen") have no `Weights`; their kernel's name tells.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models.errors import BadInput

DETAILED = "build the engine with --profilingVerbosity=detailed and export its layers again"
LARGEST_BYTES = 2**28


@dataclass(frozen=True, kw_only=True)
class EngineLayer:
    name: str
    kind: str
    """TensorRT's `LayerType`."""
    onnx_nodes: frozenset[str]
    """Names of ONNX nodes that it computes."""
    precision: str
    """The type that it multiplies in, in TensorRT's words; "an unknown type" if it is not told."""
    converts: bool
    """Whether it is nothing but a quantization or dequantization."""

    @property
    def int8(self) -> bool:
        return self.precision == "Int8"


def read_engine_layers(path: Path) -> tuple[EngineLayer, ...]:
    """The layers of an engine; `BadInput` says what in the file is not as TensorRT writes it."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise BadInput(f"{path} has more than {LARGEST_BYTES:,} bytes; layer files are small")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON as TensorRT writes it: {error}") from error
    layers = content.get("Layers") if isinstance(content, dict) else None
    if not isinstance(layers, list) or not layers:
        raise BadInput(f'{path} has no list "Layers"; {DETAILED}')
    if all(isinstance(layer, str) for layer in layers):
        raise BadInput(f"{path} holds the layers' names alone; {DETAILED}")
    return tuple(_layer(item, f"{path}, layer {count}") for count, item in enumerate(layers))


def _layer(item: Any, where: str) -> EngineLayer:
    if not isinstance(item, dict):
        raise BadInput(f"{where} is a {type(item).__name__}; an object is expected")
    name, kind = _text(item, "Name", where), _text(item, "LayerType", where)
    if not name:
        raise BadInput(f'{where} has no "Name"; {DETAILED}')
    told = re.findall(r"\[ONNX Layer: ([^\]]*)\]", _text(item, "Metadata", where))
    plain = [part.removeprefix("PWN(").rstrip(")") for part in re.split(r" \+ | \|\| ", name)]
    return EngineLayer(
        name=name,
        kind=kind or "layer",
        onnx_nodes=frozenset(told or plain),
        precision=_precision(item, where),
        converts=_text(item, "Origin", where) == "QDQ"
        or kind in ("Quantize", "Dequantize", "ScaleQuantize", "ScaleDequantize"),
    )


def _precision(item: dict[str, Any], where: str) -> str:
    """What the layer multiplies in: its weights' type, else its kernel's name, else its input's.

    In this order, since a float convolution may read and write int8 tensors.
    """
    weights = item.get("Weights")
    if isinstance(weights, dict) and isinstance(weights.get("Type"), str):
        return str(weights["Type"])
    tactic = _text(item, "TacticName", where)
    if re.search(r"i8i8|imma|int8", tactic):
        return "Int8"
    if match := re.search(r"f32f32|f16f16|bf16bf16|h884|h1688|h16816|sgemm|hgemm", tactic):
        return match.group()
    inputs = item.get("Inputs", [])
    if not isinstance(inputs, list):
        raise BadInput(f"{where} has 'Inputs' of type {type(inputs).__name__}; expected a list")
    formats = [_text(each, "Format/Datatype", where) for each in inputs if isinstance(each, dict)]
    if not formats or "N/A" in formats[0] or not formats[0]:
        return "an unknown type"
    return "Int8" if "int8" in formats[0].lower() else formats[0]


def _text(item: dict[str, Any], key: str, where: str) -> str:
    value = item.get(key, "")
    if not isinstance(value, str):
        raise BadInput(f"{where} has {key!r} of type {type(value).__name__}; text is expected")
    return value
