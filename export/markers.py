"""Markers: where a float ONNX graph is to be quantized, as nodes that a dialect replaces.

A marker is `edgestill.Quantize(x) -> x` with the name of its quantization point and whether
TensorRT wants the point. A marked graph is an intermediate form: no runtime executes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .graph import copied, outputs, readers, reread, set_nodes, unused_name
from .tidy import tidy

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

DOMAIN = "edgestill"
OPERATOR = "Quantize"

# They move or select numbers: the grid before them is the grid after them.
PASSING = (
    "MaxPool",
    "Flatten",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Identity",
    "Slice",
    "Split",
    "Resize",
)


def strip_markers(marked: ModelProto) -> ModelProto:
    """The float network: a copy of `marked` without its markers."""
    model = copied(marked)
    remove_markers(model.graph, {node.output[0] for node in markers(model.graph)})
    forget_domain(model)
    tidy(model)
    return model


def carry_markers(graph: GraphProto, *, repeat: bool) -> None:
    """marker -> MaxPool --> marker -> MaxPool -> marker; without `repeat` MaxPool -> marker.

    Integer max-pooling (or flatten, reshape, transpose) needs the marker on both sides in ONNX
    Runtime. TensorRT moves Q and DQ across such operations itself and reads best what stands right
    before a convolution.
    """
    pending = markers(graph)
    while pending:
        marker = pending.pop(0)
        read_by = readers(graph).get(marker.output[0], [])
        passing = [
            node for node in read_by if passes(node) and not set(node.output) & set(outputs(graph))
        ]
        for node in passing:
            read = readers(graph)
            pending += [
                _marker_after(graph, node, position, marker)
                for position, value in enumerate(node.output)
                if value in read
            ]
        if passing and len(passing) == len(read_by) and not repeat:
            remove_markers(graph, {marker.output[0]})
        # set_nodes copies, so the nodes still pending are looked up again.
        names = {node.output[0] for node in pending}
        pending = [node for node in markers(graph) if node.output[0] in names]


def markers(graph: GraphProto) -> list[NodeProto]:
    """The marker nodes, in the order of computation."""
    return [node for node in graph.node if node.domain == DOMAIN and node.op_type == OPERATOR]


def point_of(marker: NodeProto) -> str:
    """The name of the quantization point that `marker` stands for."""
    return next(str(item.s, "utf-8") for item in marker.attribute if item.name == "point")


def passes(node: NodeProto) -> bool:
    """Whether `node` only moves or selects numbers; a Resize does if it repeats the nearest."""
    mode = next((item.s for item in node.attribute if item.name == "mode"), b"nearest")
    return node.op_type in PASSING and mode == b"nearest"


def remove_markers(graph: GraphProto, names: set[str]) -> None:
    """Lets the readers of the markers with outputs `names` read the markers' inputs."""
    kept = []
    for node in graph.node:
        if node.output[0] in names:
            # A later marker may read this one, so its own input is right when its turn comes.
            reread(graph.node, node.output[0], node.input[0])
        else:
            kept.append(node)
    set_nodes(graph, kept)


def forget_domain(model: ModelProto) -> None:
    """Removes the markers' operator set once no marker is left."""
    kept = [(item.domain, item.version) for item in model.opset_import if item.domain != DOMAIN]
    del model.opset_import[:]
    for domain, version in kept:
        model.opset_import.add(domain=domain, version=version)


def _marker_after(graph: GraphProto, node: NodeProto, position: int, like: NodeProto) -> NodeProto:
    """A marker of the same point between an output of `node` and its readers."""
    marker = copied(like)
    value = node.output[position]
    marker.input[0] = value
    marker.name = f"{point_of(like)}@{node.name}" + (f"/{position}" if position else "")
    marker.output[0] = unused_name(graph, f"{marker.name}/out")
    reread(graph.node, value, marker.output[0])
    nodes = list(graph.node)
    nodes.insert(next(i for i, other in enumerate(nodes) if value in other.output) + 1, marker)
    set_nodes(graph, nodes)
    return marker
