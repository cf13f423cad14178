"""Fusion: how much of an ONNX file a runtime really executes in INT8, and what it does not.

For ONNX Runtime the answer is read from the graph that it optimizes for itself; for TensorRT, which
needs its GPU to tell, it is predicted from TensorRT's placement rules and labelled so.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..models.errors import BadInput
from .dialects import TARGETS
from .graph import constants, outputs, producers, readers
from .markers import passes

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

# What the count is about: convolutions and matrix products, as ONNX Runtime names them when fused.
FLOAT_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
FUSED_FLOAT_PRODUCTS = ("FusedConv", "NhwcFusedConv", "FusedGemm", "FusedMatMul")
INTEGER_PRODUCTS = (
    "QLinearConv",
    "QLinearConvTranspose",
    "QGemm",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul",
)
END_NODES = ("QuantizeLinear", "DequantizeLinear")


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
    source: Literal["onnxruntime", "predicted"]
    qdq_left: int | None
    """Quantize and dequantize nodes that ONNX Runtime still executes; None where only predicted."""
    float_islands: tuple[Island, ...]

    @property
    def fraction(self) -> float:
        """The share that runs in INT8; 1.0 for a network without convolutions or products."""
        return self.int8 / self.total if self.total else 1.0

    def to_json(self) -> dict[str, Any]:
        """{"int8", "total", "source", "qdq_left", "float_islands": [{"name", "op", "reason"}]}."""
        return asdict(self) | {"float_islands": [asdict(island) for island in self.float_islands]}


def fusion_report(model_path: Path, target: str) -> Fusion:
    """What `target` fuses of the file at `model_path`; `BadInput` if the file cannot be read."""
    if target not in TARGETS:
        raise BadInput(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
    model = _load(model_path)
    if target == "tensorrt":
        return _predicted(model.graph)
    return _from_onnxruntime(model, _optimized(model_path, target))


def _from_onnxruntime(model: ModelProto, optimized: ModelProto) -> Fusion:
    graph = optimized.graph
    kinds = [node.op_type for node in graph.node]
    int8 = sum(kind in INTEGER_PRODUCTS for kind in kinds)
    left = sum(kind in FLOAT_PRODUCTS + FUSED_FLOAT_PRODUCTS for kind in kinds)
    made_by, read_by = producers(model.graph), readers(model.graph)
    named = {node.name: node for node in model.graph.node if node.name}
    islands = []
    for node in graph.node:
        if _is_integer(node) or passes(node) or node.op_type in END_NODES:
            continue
        # A fused node keeps the name of its product; what was inserted is found by its output.
        ours = named.get(node.name) or _first_of_chain(made_by.get(node.output[0], node), made_by)
        islands.append(
            Island(
                name=ours.name or node.output[0],
                op=ours.op_type,
                reason=_why_float(ours, model.graph, made_by, read_by),
            )
        )
    return Fusion(
        int8=int8,
        total=int8 + left,
        source="onnxruntime",
        qdq_left=sum(kind in END_NODES for kind in kinds),
        float_islands=tuple(islands),
    )


def _predicted(graph: GraphProto) -> Fusion:
    """TensorRT: a product runs in INT8 if all its inputs come from symmetric int8 DQ nodes."""
    made_by = producers(graph)
    layers = [node for node in graph.node if node.op_type in FLOAT_PRODUCTS]
    islands = [
        Island(name=node.name or node.output[0], op=node.op_type, reason=reason)
        for node in layers
        if (reason := _why_not_tensorrt(node, graph, made_by))
    ]
    return Fusion(
        int8=len(layers) - len(islands),
        total=len(layers),
        source="predicted",
        qdq_left=None,
        float_islands=tuple(islands),
    )


def _why_not_tensorrt(node: NodeProto, graph: GraphProto, made_by: dict[str, NodeProto]) -> str:
    for name, what in zip(node.input[:2], ("input", "weight"), strict=False):
        source = made_by.get(name)
        if source is None or source.op_type != "DequantizeLinear":
            return f"its {what} is not quantized"
        if problem := _asymmetric(source, graph):
            return f"its {what} has {problem}, TensorRT takes int8 with zero point 0"
    return ""


def _asymmetric(dequantize: NodeProto, graph: GraphProto) -> str:
    from onnx import TensorProto, numpy_helper

    zero = constants(graph).get(dequantize.input[2]) if len(dequantize.input) > 2 else None
    if zero is None:
        return ""
    if zero.data_type != TensorProto.INT8:
        return f"{TensorProto.DataType.Name(zero.data_type).lower()} codes"
    return "a zero point" if numpy_helper.to_array(zero).any() else ""


def _why_float(
    node: NodeProto,
    graph: GraphProto,
    made_by: dict[str, NodeProto],
    read_by: dict[str, list[NodeProto]],
) -> str:
    """What in the file keeps ONNX Runtime from an integer kernel for `node`."""
    integer = ("Conv", "Gemm", "MatMul", "Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool")
    if node.op_type not in integer:
        return f"ONNX Runtime has no integer kernel for {node.op_type}"
    data = node.input[:2] if node.op_type in FLOAT_PRODUCTS else node.input
    for name in data:
        if name not in made_by or made_by[name].op_type != "DequantizeLinear":
            weight = name in constants(graph)
            return f"its {'weight' if weight else 'input'} {name!r} is not quantized"
    after = read_by.get(node.output[0], [])
    if len(after) == 1 and after[0].op_type in ("Relu", "Clip"):
        activation = after[0]
        after = read_by.get(activation.output[0], [])
        if after and all(reader.op_type == "QuantizeLinear" for reader in after):
            return f"the zero point after {activation.op_type} is not the lowest code"
    if node.output[0] in outputs(graph) or any(r.op_type != "QuantizeLinear" for r in after):
        return "its output is not quantized"
    return "ONNX Runtime left it in float"


def _first_of_chain(node: NodeProto, made_by: dict[str, NodeProto]) -> NodeProto:
    """The product whose activation `node` is, or `node`."""
    before = made_by.get(node.input[0]) if node.input else None
    activation = node.op_type in ("Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh")
    return before if activation and before and before.op_type in FLOAT_PRODUCTS else node


def _is_integer(node: NodeProto) -> bool:
    return node.op_type in INTEGER_PRODUCTS or node.op_type.startswith("QLinear")


def _load(path: Path) -> ModelProto:
    import onnx

    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's DecodeError lives in a package without types
        raise BadInput(f"{path} cannot be read as an ONNX model: {error}") from error
    if not model.graph.node:  # an empty file is a valid message without content
        raise BadInput(f"{path} has no operations; an ONNX model is expected")
    return model


def _optimized(path: Path, target: str) -> ModelProto:
    """The graph that ONNX Runtime makes of the file for the CPU of `target`."""
    import onnx
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "optimized.onnx"
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        # One level up, layouts for this machine's vector width would be written in, which say
        # nothing about fusion.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(file)
        # The default differs between x86 and ARM; so the report does not depend on who asks.
        allowed = "1" if target == "ort-arm64" else "0"
        options.add_session_config_entry("session.qdqisint8allowed", allowed)
        try:
            ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            raise BadInput(f"ONNX Runtime refuses {path}: {str(error).splitlines()[0]}") from error
        return onnx.load(file, load_external_data=False)
