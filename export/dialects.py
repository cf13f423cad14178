"""Dialects: one marked network and its ranges as the INT8 ONNX file that each runtime really fuses.

                activations                          residual Add     bias     after max-pool
    tensorrt    int8, zero point 0                   identity only    float    Q/DQ moved behind it
    ort-x86     uint8, zero point 0; signed: 128     both inputs      int32    Q/DQ on both sides
    ort-arm64   int8, zero point -128; signed: 0     both inputs      int32    Q/DQ on both sides

After ReLU the zero point is the type's lowest code, so ONNX Runtime takes the ReLU into the
convolution; all 256 codes then cover [0, amax]. Weights are int8 per output channel everywhere. The
three files of one network differ in encoding, not in what was learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..models.errors import BadInput
from .graph import attribute, copied, set_nodes
from .markers import carry_markers, forget_domain, markers, point_of, remove_markers
from .quantize_weights import quantize_weights

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

    from ..models.ranges import ActivationRange, Ranges


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one runtime wants its quantized network."""

    dtype: type[np.int8] | type[np.uint8]
    """The type of activation codes."""
    unsigned_zero: int
    """The zero point of a value that is never negative."""
    signed_zero: int
    levels: int
    """Steps between zero and amax of a value that is never negative; a signed one has 127."""
    all_points: bool
    """Q/DQ at every point, repeated after max-pooling and its like; else as TensorRT wants it."""
    integer_bias: bool


DIALECTS = {
    "tensorrt": Dialect(
        dtype=np.int8,
        unsigned_zero=0,
        signed_zero=0,
        levels=127,
        all_points=False,
        integer_bias=False,
    ),
    "ort-x86": Dialect(
        dtype=np.uint8,
        unsigned_zero=0,
        signed_zero=128,
        levels=255,
        all_points=True,
        integer_bias=True,
    ),
    "ort-arm64": Dialect(
        dtype=np.int8,
        unsigned_zero=-128,
        signed_zero=0,
        levels=255,
        all_points=True,
        integer_bias=True,
    ),
}
TARGETS = tuple(DIALECTS)


def write_dialect(marked: ModelProto, ranges: Ranges, target: str) -> ModelProto:
    """The INT8 network for `target`: a copy of `marked` (see `onnx_from_model`) with Q/DQ nodes.

    Raises `BadInput` for an unknown target, a graph without markers, or a point without a range.
    """
    if target not in DIALECTS:
        raise BadInput(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
    if not markers(marked.graph):
        raise BadInput("the ONNX graph has no markers: export a model made by fake_quant.prepare")
    missing = {point_of(node) for node in markers(marked.graph)} - set(ranges.activations)
    if missing:
        raise BadInput(
            f"no range for {len(missing)} of the network's points, such as {min(missing)!r}: "
            "these ranges belong to another network"
        )
    dialect = DIALECTS[target]
    model = copied(marked)
    graph = model.graph
    if not dialect.all_points:
        left_out = {m.output[0] for m in markers(graph) if not attribute(m, "tensorrt", 0)}
        remove_markers(graph, left_out)
    carry_markers(graph, repeat=dialect.all_points)
    _write_activations(graph, ranges, dialect)
    quantize_weights(graph, ranges, integer_bias=dialect.integer_bias)
    forget_domain(model)
    model.metadata_props.add(key="edgestill.target", value=target)
    return model


def step(range_: ActivationRange, dialect: Dialect) -> np.float32:
    """The value of one code, computed in float32 as `FakeQuantize` does."""
    return np.float32(range_.amax) / np.float32(127 if range_.signed else dialect.levels)


def _write_activations(graph: GraphProto, ranges: Ranges, dialect: Dialect) -> None:
    """marker --> QuantizeLinear -> DequantizeLinear."""
    from onnx import helper, numpy_helper

    nodes: list[NodeProto] = []
    written: set[str] = set()
    marked = {node.output[0] for node in markers(graph)}
    for node in graph.node:
        if node.output[0] not in marked:
            nodes.append(node)
            continue
        point, value = point_of(node), node.output[0]
        constants = [f"{point}.scale", f"{point}.zero_point"]
        if point not in written:
            written.add(point)
            range_ = ranges.activations[point]
            zero = dialect.signed_zero if range_.signed else dialect.unsigned_zero
            for name, number in zip(
                constants, (step(range_, dialect), dialect.dtype(zero)), strict=True
            ):
                graph.initializer.append(numpy_helper.from_array(np.asarray(number), name))
        codes = f"{node.name}/codes"
        nodes += [
            helper.make_node(
                "QuantizeLinear", [node.input[0], *constants], [codes], name=f"{node.name}/quantize"
            ),
            helper.make_node(
                "DequantizeLinear", [codes, *constants], [value], name=f"{node.name}/dequantize"
            ),
        ]
    set_nodes(graph, nodes)
