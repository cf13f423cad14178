"""Tidying: names from the network's own modules, and nothing of the machine that exported.

The exporter leaves stack traces with file paths in the metadata and names with running counters.
After tidying the same network gives the same bytes, in any process and folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .graph import constants, drop_unused_constants, outputs, reread

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

PRODUCER = "edgestill"

# Opset 18 came with IR version 8, and nothing here needs more. ONNX Runtime reads it since 1.14;
# the exporter's IR version 10 is refused by releases that are still on devices.
IR_VERSION = 8


def tidy(model: ModelProto) -> None:
    """Renames nodes, values and constants of `model` in place and clears its metadata.

    A layer gets the path of its module, any other node its operator's name and a count; a value is
    named after its node.
    """
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.doc_string = PRODUCER, "", ""
    del model.metadata_props[:]
    graph = model.graph
    graph.name, graph.doc_string = "network", ""
    del graph.value_info[:]
    del graph.metadata_props[:]
    drop_unused_constants(graph)
    for item in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        item.doc_string = ""
        del item.metadata_props[:]
    _rename_constants(graph)
    _rename_nodes(graph)


def module_path(node: NodeProto) -> str:
    """The path of the module whose `weight` the node reads, or ""."""
    weights = [name for name in node.input if name.endswith(".weight")]
    return weights[0].removesuffix(".weight") if weights else ""


def _rename_constants(graph: GraphProto) -> None:
    known = constants(graph)
    read = dict.fromkeys(name for node in graph.node for name in node.input)
    unnamed = [name for name in read if name in known and "." not in name]
    for count, name in enumerate(unnamed):
        new = f"const.{count}"
        if new in known:
            continue
        reread(graph.node, name, new)
        known[name].name = new


def _rename_nodes(graph: GraphProto) -> None:
    fixed = outputs(graph)
    taken: set[str] = set()
    names: dict[str, str] = {}
    for node in graph.node:
        points = [str(item.s, "utf-8") for item in node.attribute if item.name == "point"]
        # A capital keeps the operator's name apart from module paths and points.
        wish = points[0] if points else module_path(node) or node.op_type
        node.name = _unused(wish, taken, counted=wish == node.op_type)
        for position, name in enumerate(node.input):
            node.input[position] = names.get(name, name)
        for position, name in enumerate(node.output):
            if name and name not in fixed:
                # Slashes keep values apart from the constants, whose names have dots.
                names[name] = f"{node.name}/{position}" if position else f"{node.name}/out"
                node.output[position] = names[name]


def _unused(wish: str, taken: set[str], *, counted: bool) -> str:
    """`wish`, with a count if it is `counted` or taken; it is taken then."""
    count, name = 0, f"{wish}_0" if counted else wish
    while name in taken:
        count += 1
        name = f"{wish}_{count}"
    taken.add(name)
    return name
