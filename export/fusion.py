"""Fusion: how much of an ONNX file a runtime really executes in INT8, and what it does not.

For ONNX Runtime the answer is read from the graph that it optimizes for itself. For TensorRT it is
read from what the inspector of a built engine wrote, or, without an engine, predicted from
TensorRT's placement rules and labelled so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..models.errors import BadInput
from .targets import TARGETS

if TYPE_CHECKING:
    from onnx import ModelProto

# What the count is about, as the file names it.
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True, kw_only=True)
class Island:
    """An operation that stays in float."""

    name: str
    op: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Fusion:
    int8: int
    """Convolutions and matrix products that run in INT8."""
    total: int
    source: Literal["onnxruntime", "engine", "predicted"]
    qdq_left: int | None
    """Quantize and dequantize nodes that the runtime still executes; None where only predicted."""
    float_islands: tuple[Island, ...]

    @property
    def fraction(self) -> float:
        """The share that runs in INT8; 1.0 for a network without convolutions or products."""
        return self.int8 / self.total if self.total else 1.0

    def to_json(self) -> dict[str, Any]:
        """{"int8", "total", "source", "qdq_left", "float_islands": [{"name", "op", "reason"}]}."""
        return asdict(self) | {"float_islands": [asdict(island) for island in self.float_islands]}


def fusion_report(model_path: Path, target: str, *, engine_layers: Path | None = None) -> Fusion:
    """What `target` fuses of the file at `model_path`.

    `engine_layers` is the JSON of the TensorRT engine built from this file: what `trtexec
    --exportLayerInfo=FILE --profilingVerbosity=detailed` or `IEngineInspector` writes.

    Raises `BadInput` if a file cannot be read, or the JSON is not of an engine of this file.
    """
    from .fusion_onnxruntime import from_onnxruntime
    from .fusion_tensorrt import from_engine, predicted

    if target not in TARGETS:
        raise BadInput(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
    if engine_layers is not None and target != "tensorrt":
        raise BadInput(f"{engine_layers} tells of a TensorRT engine, the target is {target}")
    model = _load(model_path)
    if target != "tensorrt":
        return from_onnxruntime(model, model_path, target)
    return predicted(model.graph) if engine_layers is None else from_engine(model, engine_layers)


def _load(path: Path) -> ModelProto:
    import onnx

    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's DecodeError lives in a package without types
        raise BadInput(f"{path} cannot be read as an ONNX model: {error}") from error
    if not model.graph.node:  # an empty file is a valid message without content
        raise BadInput(f"{path} has no operations; an ONNX model is expected")
    return model
