"""Weights: Conv(DQ(x), float w, float b) --> Conv(DQ(x), DQ(int8 w), DQ(int32 b) or float b).

Where the target has no integer kernel for the layer, or its input is not quantized, the weights
take their rounded values as floats: the same numbers, and nothing to dequantize at every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.errors import BadInput
from .graph import attribute, constants, producers, set_nodes
from .tidy import module_path

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

    from ..models.ranges import Ranges, WeightRange

    Array = np.ndarray[Any, Any]

# An int32 bias has the step x_scale * w_scale. A channel whose weights are (nearly) zero has so
# small a step that its bias would overflow; its weights then get a coarser one, whose error is
# below float32's own beside such a bias.
LARGEST_BIAS_CODE = 2**30


def quantize_weights(
    graph: GraphProto, ranges: Ranges, *, kernels: tuple[str, ...], integer_bias: bool, half: bool
) -> int:
    """Quantizes in place the layers whose ranges are known; returns how many became int8.

    `kernels` are the operations that the target computes in integers. ONNX Runtime fuses a matrix
    product without a quantized output only with an int32 bias, TensorRT wants a float one. `half`
    rounds the steps up to float16 numbers, so that the codes belong to what will be written.
    """
    from onnx import numpy_helper

    made_by, known = producers(graph), constants(graph)
    nodes: list[NodeProto] = []
    done: dict[str, int] = {}
    written = 0
    for node in graph.node:
        weights = ranges.weights.get(module_path(node))
        if weights is None or len(node.input) < 2:
            nodes.append(node)
            continue
        name, x = node.input[1], made_by.get(node.input[0])
        values = numpy_helper.to_array(known[name])
        axis = _axis(node, weights)
        scales = _scales(node, weights, values, axis)
        if half:
            scales = half_steps(scales, node.name)
        # Layers may share a weight or a bias (the exporter merges equal ones) but not a step.
        suffix = f"_{done[name]}" if name in done else ""
        done[name] = done.get(name, 0) + 1
        if x is None or x.op_type != "DequantizeLinear" or node.op_type not in kernels:
            rounded = codes(values, scales, axis) * _along(scales, axis, values.ndim)
            node.input[1] = f"{name}{suffix}.rounded"
            graph.initializer.append(numpy_helper.from_array(rounded, node.input[1]))
            nodes.append(node)
            continue
        written += 1
        bias = node.input[2] if len(node.input) > 2 and node.input[2] in known else ""
        x_scale = float(numpy_helper.to_array(known[x.input[1]]))
        if bias and integer_bias:
            offset = numpy_helper.to_array(known[bias])
            least = np.abs(offset) / (x_scale * LARGEST_BIAS_CODE)
            scales = np.maximum(scales, least.astype(np.float32))
        whole = codes(values, scales, axis)
        nodes.append(_dequantized(graph, node, 1, f"{name}{suffix}", whole, scales, axis))
        if bias and integer_bias:
            steps = (scales * np.float32(x_scale)).astype(np.float32)
            whole = np.rint(offset.astype(np.float64) / steps).astype(np.int32)
            bias_name = f"{node.name}.bias{suffix}"
            nodes.append(_dequantized(graph, node, 2, bias_name, whole, steps, 0))
        nodes.append(node)
    set_nodes(graph, nodes)
    return written


def codes(weights: Array, scales: Array, axis: int = 0) -> Array:
    """int8 codes within +-127 of `weights` with one step per slice along `axis`.

    In float32 and by the reciprocal, as torch's kernel does it: ties fall the same way.
    """
    inverse = _along(np.float32(1) / scales, axis, weights.ndim)
    whole: Array = np.clip(np.rint(weights * inverse), -127, 127).astype(np.int8)
    return whole


def half_steps(scales: Array, name: str) -> Array:
    """`scales` rounded up to float16 numbers, as float32; none becomes zero, no weight is clipped.

    Raises `BadInput` for layer `name` if one is beyond float16's largest number.
    """
    with np.errstate(over="ignore"):
        rounded = scales.astype(np.float16)
        short = rounded.astype(np.float32) < scales
        rounded = np.where(short, np.nextafter(rounded, np.float16(np.inf)), rounded)
    if not np.isfinite(rounded).all():
        raise BadInput(
            f"{name} has a step of {scales.max():.3g}; float16 ends at 65504: use float32"
        )
    steps: Array = rounded.astype(np.float32)
    return steps


def _axis(node: NodeProto, weights: WeightRange) -> int:
    """The axis of the output channels in the node's weight; matrices may be stored transposed.

    No runtime computes in integers with steps along another axis.
    """
    ours = 1 if node.op_type == "ConvTranspose" else 0
    if weights.axis != ours:
        raise BadInput(
            f"{node.name} ({node.op_type}) has a step for each slice of axis {weights.axis}; "
            f"runtimes take them along axis {ours} alone, the output channels"
        )
    if node.op_type == "MatMul" or (node.op_type == "Gemm" and not attribute(node, "transB", 0)):
        return 1
    return ours


def _scales(node: NodeProto, weights: WeightRange, values: Array, axis: int) -> Array:
    scales = np.asarray(weights.scales, dtype=np.float32)
    if values.shape[axis] != len(scales):
        raise BadInput(
            f"{node.name} has {values.shape[axis]} output channels and the ranges {len(scales)}: "
            "these ranges belong to another network"
        )
    return scales


def _along(scales: Array, axis: int, rank: int) -> Array:
    return scales.reshape([-1 if position == axis else 1 for position in range(rank)])


def _dequantized(
    graph: GraphProto,
    node: NodeProto,
    position: int,
    name: str,
    whole: Array,
    steps: Array,
    axis: int,
) -> NodeProto:
    """The DequantizeLinear, of new constants, that `node` now reads at `position`."""
    from onnx import helper, numpy_helper

    made = {
        f"{name}.codes": whole,
        f"{name}.scale": steps,
        f"{name}.zero_point": np.zeros(steps.shape, dtype=whole.dtype),
    }
    graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in made.items())
    value = f"{name}/dequantized"
    node.input[position] = value
    return helper.make_node(
        "DequantizeLinear", list(made), [value], name=f"{name}/dequantize", axis=axis
    )
