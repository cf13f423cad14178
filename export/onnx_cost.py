"""What an ONNX file costs for one sample: multiply-accumulates, parameters, live activations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .check_report import Skip
from .graph import inner_nodes, nested_nodes
from .model_parts import called, parts, shown
from .onnx_layers import ShapeOf
from .onnx_layers import macs as macs_of
from .onnx_liveness import Unsized, peak_bytes
from .onnx_parameters import weights
from .runtime import one_line
from .tensor_data import kinds

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

Sizes = dict[str, tuple[int, ...] | None]


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """One operator that multiplies."""

    name: str
    operator: str
    macs: int


@dataclass(frozen=True, kw_only=True)
class OnnxCost:
    """The cost of one call of a graph, at the sizes that its values have in the file."""

    macs: int
    """One for each multiplication with a weight, or of two values with one another, in
    convolutions, matrix products, recurrent layers and attention; as fvcore counts these.
    Normalisation, pooling and what goes element by element count nothing, so folding a BatchNorm
    or quantizing leaves it as it is."""
    parameters: int
    """As `onnx_parameters.weights` tells weights from settings."""
    peak_activation_bytes: int | None
    """As `onnx_liveness` has it; None where the size of a value is not known."""
    unsized: str
    """Such a value; "" if there is none."""
    by_layer: tuple[LayerCost, ...]
    """Operators with multiply-accumulates, in the file's order."""
    uncounted: tuple[str, ...]
    """Operators that multiply in a way that is not known here: `macs` is too small by theirs."""
    counted_once: tuple[str, ...]
    """Operators inside If, Loop and Scan, which may run never or many times."""
    repeated: tuple[str, ...]
    """Those of them inside Loop and Scan: `macs` is too small by their repetitions."""


def onnx_cost(model: ModelProto) -> OnnxCost:
    """The cost of `model`, whose values have shapes: see `inlined`, `sized`, `with_seen_shapes`.

    Weights are not looked at. Raises `Skip` with the name of a value that is multiplied and whose
    shape is not known.
    """
    values = _values(model)
    shapes = {name: _shape(value) for name, value in values.items()}
    shapes |= dict(_constant_shapes(model))
    layers: list[LayerCost] = []
    once: list[str] = []
    uncounted: list[str] = []

    def shape(name: str) -> tuple[int, ...]:
        found = shapes.get(name)
        if found is None:
            raise Skip(_unknown(name))
        return found

    for part in sorted(parts(model), key=lambda part: part.depth):
        for node in part.body.node:
            count = _macs(node, shape)
            if count is None:
                uncounted.append(f"{called(node)} ({node.op_type})")
            elif count:
                layers.append(LayerCost(name=called(node), operator=node.op_type, macs=count))
                once += [called(node)] if part.depth else []
    peak, unsized = _peak(model, values, shapes)
    return OnnxCost(
        macs=sum(layer.macs for layer in layers),
        parameters=sum(count for _, count in weights(model)),
        peak_activation_bytes=peak,
        unsized=unsized,
        by_layer=tuple(layers),
        uncounted=tuple(uncounted),
        counted_once=tuple(once),
        repeated=tuple(name for name in once if name in _repeated(model)),
    )


def _repeated(model: ModelProto) -> set[str]:
    loops = (n for n in nested_nodes(model.graph) if n.op_type in ("Loop", "Scan"))
    return {called(inner) for loop in loops for inner in inner_nodes(loop)}


def _macs(node: NodeProto, shape: ShapeOf) -> int | None:
    try:
        return macs_of(node, shape)
    except (IndexError, ValueError) as error:
        raise Skip(f"{called(node)} has not the inputs that {node.op_type} takes") from error


def _peak(
    model: ModelProto, values: dict[str, ValueInfoProto], shapes: Sizes
) -> tuple[int | None, str]:
    """Peak bytes, or None and the name of a value whose size is not known."""
    bits = {number: kind.bits for number, kind in kinds().items()}
    sizes: dict[str, int | None] = {}
    for name, value in values.items():
        dims = shapes[name]
        each = bits.get(value.type.tensor_type.elem_type)
        sizes[name] = None if dims is None or each is None else -(-math.prod(dims) * each // 8)
    try:
        return peak_bytes(model.graph, sizes), ""
    except Unsized as value:
        return None, str(value)


def inlined(model: ModelProto) -> ModelProto:
    """`model` with the bodies of its own functions where they are called, shapes inferred."""
    import onnx
    import onnx.inliner

    if not model.functions:
        return model
    try:
        return onnx.shape_inference.infer_shapes(
            onnx.inliner.inline_local_functions(model), data_prop=True
        )
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise Skip(f"its functions cannot be put in place: {one_line(error)}") from error


def unknown_values(model: ModelProto) -> list[str]:
    """What the graph's own nodes make, and has no known shape."""
    known = {name for name, value in _values(model).items() if _shape(value) is not None}
    made = (name for node in model.graph.node for name in node.output if name)
    return [name for name in made if name not in known]


def _values(model: ModelProto) -> dict[str, ValueInfoProto]:
    """What the file says of its values; where it speaks twice, the one with a shape."""
    from onnx import FunctionProto

    found: dict[str, ValueInfoProto] = {}
    for part in parts(model):
        if not isinstance(part.body, FunctionProto):
            for value in (*part.body.input, *part.body.output, *part.body.value_info):
                if value.name not in found or _shape(value) is not None:
                    found[value.name] = value
    return found


def _shape(value: ValueInfoProto) -> tuple[int, ...] | None:
    """None where a size is not known, or where the value is no tensor."""
    if not value.type.tensor_type.HasField("shape"):
        return None
    axes = value.type.tensor_type.shape.dim
    if not all(axis.HasField("dim_value") and axis.dim_value >= 0 for axis in axes):
        return None
    return tuple(axis.dim_value for axis in axes)


def _constant_shapes(model: ModelProto) -> Iterator[tuple[str, tuple[int, ...]]]:
    from onnx import FunctionProto

    for part in parts(model):
        if not isinstance(part.body, FunctionProto):
            yield from ((each.name, tuple(each.dims)) for each in part.body.initializer)
            yield from (
                (each.values.name, tuple(each.dims)) for each in part.body.sparse_initializer
            )


def _unknown(name: str) -> str:
    return f"the shape of {shown(name)} is not known, so its cost is not"
