"""Weights: Conv(DQ(x), float w, float b) --> Conv(DQ(x), DQ(int8 w), DQ(int32 b) or float b)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .graph import attribute, constants, drop_unused_constants, producers, set_nodes
from .tidy import module_path

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

    from ..models.ranges import Ranges

# An int32 bias has the step x_scale * w_scale. A channel whose weights are (nearly) zero has so
# small a step that its bias would overflow; its weights then get a coarser one, whose error is
# below float32's own beside such a bias.
LARGEST_BIAS_CODE = 2**30


def quantize_weights(graph: GraphProto, ranges: Ranges, *, integer_bias: bool) -> int:
    """Quantizes in place the layers with quantized input and known ranges; returns their number.

    ONNX Runtime fuses a matrix product without a quantized output only with an int32 bias, TensorRT
    wants a float one.
    """
    from onnx import numpy_helper

    made_by, known = producers(graph), constants(graph)
    nodes: list[NodeProto] = []
    done: dict[str, int] = {}
    for node in graph.node:
        x = made_by.get(node.input[0]) if node.input else None
        weights = ranges.weights.get(module_path(node))
        if weights is None or x is None or x.op_type != "DequantizeLinear" or not _rows(node):
            nodes.append(node)
            continue
        x_scale = float(numpy_helper.to_array(known[x.input[1]]))
        name = node.input[1]
        bias = node.input[2] if len(node.input) > 2 and node.input[2] in known else ""
        values = numpy_helper.to_array(known[name])
        scales = np.asarray(weights.scales, dtype=np.float32)
        if bias and integer_bias:
            offset = numpy_helper.to_array(known[bias])
            least = np.abs(offset) / (x_scale * LARGEST_BIAS_CODE)
            scales = np.maximum(scales, least.astype(np.float32))
        # Layers may share a weight or a bias (the exporter merges equal ones) but not a step.
        suffix = f"_{done[name]}" if name in done else ""
        done[name] = done.get(name, 0) + 1
        nodes += _dequantized(graph, node, 1, f"{name}{suffix}", codes(values, scales), scales)
        if bias and integer_bias:
            steps = (scales * np.float32(x_scale)).astype(np.float32)
            whole = np.rint(offset.astype(np.float64) / steps).astype(np.int32)
            nodes += _dequantized(graph, node, 2, f"{node.name}.bias{suffix}", whole, steps)
        nodes.append(node)
    set_nodes(graph, nodes)
    drop_unused_constants(graph)
    return sum(done.values())


def codes(weights: np.ndarray[Any, Any], scales: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """int8 codes within +-127 of `weights` whose first axis has one step each.

    In float32 and by the reciprocal, as torch's kernel does it: ties fall the same way.
    """
    inverse = (np.float32(1) / scales).reshape(-1, *[1] * (weights.ndim - 1))
    return np.clip(np.rint(weights * inverse), -127, 127).astype(np.int8)


def _rows(node: NodeProto) -> bool:
    """Whether the first axis of the node's weight is its output channel."""
    return node.op_type == "Conv" or (node.op_type == "Gemm" and attribute(node, "transB", 0) == 1)


def _dequantized(
    graph: GraphProto,
    node: NodeProto,
    position: int,
    name: str,
    whole: np.ndarray[Any, Any],
    steps: np.ndarray[Any, Any],
) -> list[NodeProto]:
    """Constants and the DequantizeLinear that `node` now reads at `position`."""
    from onnx import helper, numpy_helper

    made = {
        f"{name}.codes": whole,
        f"{name}.scale": steps,
        f"{name}.zero_point": np.zeros(steps.shape, dtype=whole.dtype),
    }
    graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in made.items())
    value = f"{name}/dequantized"
    node.input[position] = value
    return [
        helper.make_node("DequantizeLinear", list(made), [value], name=f"{name}/dequantize", axis=0)
    ]
