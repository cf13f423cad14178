"""What TensorRT asks of QuantizeLinear and DequantizeLinear: symmetric int8, positive steps.

Read in what the parser asserts on import, 8.6.1 (onnx/onnx-tensorrt at 6ba67d3) and 10.1
(96e7811); the tables of 10.16 and 11.1 say the same of zero points.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .tensorrt_finding import Finding, named
from .tensorrt_view import attributes

if TYPE_CHECKING:
    from onnx import NodeProto

    from .tensorrt_view import View

SOURCE = "import of QuantizeLinear and DequantizeLinear in TensorRT's ONNX parser"
SMALL_CODES = ("float8e4m3fn", "int4", "float4e2m1")
# The axis of the output channels in a weight; of Gemm it depends on transB.
CHANNEL_AXES = {"Conv": 0, "ConvTranspose": 1}


def quantizer_findings(view: View, version: tuple[int, ...]) -> Iterator[Finding]:
    """One finding for each Q/DQ node that is wrong, the gravest."""
    for node in view.nodes:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        problem = (
            _codes(view, node, version)
            or _zero_point(view, node, version)
            or _steps(view, node, version)
            or _channels(view, node, version)
        )
        if problem:
            yield _finding(node, "error", problem)
        elif mild := _axis(view, node):
            yield _finding(node, "warning", mild)


def _codes(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    """The type of the codes: int8; from TensorRT 10 on smaller ones too."""
    known = {"int8"} if version < (9,) else {"int8", *SMALL_CODES}
    if version < (10, 8):
        known.discard("float4e2m1")
    quantizes = node.op_type == "QuantizeLinear"
    zero = _input(node, 2)
    kind = view.types.get(node.output[0] if quantizes else node.input[0], "")
    if not kind and zero:
        kind = view.types.get(zero, "")
    if not zero and not _named_type(node):
        if version < (9,):
            return "it has no zero point; that parser reads one"
        if quantizes:
            return "it has no zero point, so its codes are uint8 for ONNX and int8 for TensorRT"
    if kind and kind not in known:
        bias = "; a bias stays float there" if kind == "int32" else ""
        return f"its codes are {kind}; int8 is taken{bias}"
    return ""


def _zero_point(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    zero = _input(node, 2)
    if not zero:
        return ""
    numbers, steps = view.values(zero), view.values(node.input[1])
    if numbers is None:
        return "" if zero in view.foldable else "its zero point is no constant"
    if numbers.astype(np.float32).any():
        return "it has a zero point other than 0"
    if steps is not None and steps.size != numbers.size:
        return f"it has {steps.size} steps and {numbers.size} zero points"
    return ""


def _steps(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    if version < (9,) and view.types.get(node.input[1]) not in ("float32", None):
        return f"its steps are {view.types[node.input[1]]}; that parser reads them as float32"
    steps = view.values(node.input[1])
    if steps is None:
        return ""
    steps = steps.astype(np.float32)
    if not steps.size:
        return "it has no step"
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        return f"its smallest step is {steps.min():.3g}; steps are positive numbers"
    return ""


def _channels(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    """Several steps: for a weight, one for each entry of an axis."""
    steps, shape = view.shapes.get(node.input[1]), view.shapes.get(node.input[0])
    if steps is None or None in steps or int(np.prod(steps)) == 1:  # type: ignore[arg-type]
        return ""
    if node.input[0] not in view.foldable and not _from_weight(view, node):
        return "it has a step per channel; activations have one step there"
    if shape is None:
        return ""
    if len(steps) == 1:
        axis = _axis_of(node, len(shape))
        if not 0 <= axis < len(shape):
            return f"its axis is {axis}; the value has {len(shape)} axes"
        if shape[axis] not in (steps[0], None):
            return f"it has {steps[0]} steps for {shape[axis]} channels on axis {axis}"
    elif version < (10,) or len(steps) != len(shape):
        return f"its steps have {len(steps)} axes; one axis is taken"
    return ""


def _axis(view: View, node: NodeProto) -> str:
    """A weight whose steps are not along the output channels of its product."""
    if node.op_type != "DequantizeLinear" or node.input[0] not in view.foldable:
        return ""
    steps, shape = view.shapes.get(node.input[1]), view.shapes.get(node.input[0])
    if steps is None or shape is None or len(steps) != 1 or steps[0] in (1, None):
        return ""
    for reader in view.read_by.get(node.output[0], []):
        wanted = CHANNEL_AXES.get(reader.op_type)
        if reader.op_type == "Gemm":
            wanted = 0 if attributes(reader).get("transB") else 1
        elif reader.op_type == "MatMul":
            wanted = len(shape) - 1
        is_weight = len(reader.input) > 1 and reader.input[1] == node.output[0]
        axis = _axis_of(node, len(shape))
        if wanted is not None and is_weight and axis != wanted:
            return (
                f"its steps are along axis {axis} of the weight of {named(reader)}; the output "
                f"channels are on axis {wanted}"
            )
    return ""


def _axis_of(node: NodeProto, rank: int) -> int:
    # ONNX says 1 where nothing is said; the parser takes 0.
    axis = int(attributes(node).get("axis", 0))
    return axis + rank if axis < 0 else axis


def _from_weight(view: View, node: NodeProto) -> bool:
    """Whether the codes of a DQ are those of a quantized weight."""
    before = view.made_by.get(node.input[0])
    return (
        before is not None
        and before.op_type == "QuantizeLinear"
        and before.input[0] in view.foldable
    )


def _named_type(node: NodeProto) -> bool:
    return bool(attributes(node).get("output_dtype"))


def _input(node: NodeProto, place: int) -> str:
    return node.input[place] if len(node.input) > place else ""


def _finding(node: NodeProto, severity: str, why: str) -> Finding:
    return Finding(
        node=named(node),
        op=node.op_type,
        severity="error" if severity == "error" else "warning",
        why=why,
        source=SOURCE,
    )
