"""What ONNX Runtime executes in integers, read from the graph that it optimizes for itself."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .float_reasons import Reasons
from .fusion import PRODUCTS, Fusion, Island
from .graph import producers
from .markers import PASSING
from .targets import session_settings

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

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
# They hand on numbers of any type.
MOVING = (*PASSING, "Pad", "Resize", "Slice", "Split", "Gather", "Expand", "Shape", "Cast")


def from_onnxruntime(model: ModelProto, path: Path, target: str) -> Fusion:
    """The report on `model`, which lies at `path`, for the CPU of `target`."""
    graph = _optimized(path, target).graph
    kinds = [node.op_type for node in graph.node]
    int8 = sum(kind in INTEGER_PRODUCTS for kind in kinds)
    left = sum(kind in (*PRODUCTS, *FUSED_FLOAT_PRODUCTS) for kind in kinds)
    reasons = Reasons(model.graph)
    made_by = producers(model.graph)
    named = {node.name: node for node in model.graph.node if node.name}
    islands: dict[str, Island] = {}
    for node in graph.node:
        if _is_integer(node) or node.op_type in (*MOVING, *END_NODES):
            continue
        # A fused node keeps the name of its product; what was inserted is found by its output.
        ours = named.get(node.name) or _first_of_chain(made_by.get(node.output[0], node), made_by)
        name = ours.name or node.output[0]
        islands[name] = Island(name=name, op=ours.op_type, reason=reasons.why_float(ours))
    return Fusion(
        int8=int8,
        total=int8 + left,
        source="onnxruntime",
        qdq_left=sum(kind in END_NODES for kind in kinds),
        float_islands=tuple(islands.values()),
    )


def _first_of_chain(node: NodeProto, made_by: dict[str, NodeProto]) -> NodeProto:
    """The product whose activation `node` is, or `node`."""
    before = made_by.get(node.input[0]) if node.input else None
    activation = node.op_type in ("Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh")
    return before if activation and before and before.op_type in PRODUCTS else node


def _is_integer(node: NodeProto) -> bool:
    return node.op_type in INTEGER_PRODUCTS or node.op_type.startswith("QLinear")


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
        for name, value in session_settings(target).items():
            options.add_session_config_entry(name, value)
        try:
            ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            raise BadInput(f"ONNX Runtime refuses {path}: {str(error).splitlines()[0]}") from error
        return onnx.load(file, load_external_data=False)
