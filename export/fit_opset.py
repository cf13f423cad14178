"""Opset and IR version, fitted to what a runtime reads.

Most operators mean the same in many opsets, so that the number alone changes. For those that do
not, ONNX's own version converter writes the newer form; it has few ways back (onnx 1.23: none for
Split, Pad and ScatterND from 18), which `lower_opset` has. A node without a way is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .graph import drop_unused_constants
from .lower_opset import known_of, lowered

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

STANDARD = ("", "ai.onnx")


def fit_opset(model: ModelProto, opset: int, *, reader: str = "") -> ModelProto:
    """`model` at `opset`, older or newer; changed in place, another where ONNX's converter made it.

    `reader` is the runtime that the opset is for, named in refusals. The file's IR version is left
    as it is unless the opset came with a newer one.

    Raises `BadInput` if a node needs a newer opset or the opset is unknown to this onnx.
    """
    known_opset(opset)
    present = opset_of(model)
    if opset < present:
        why = f"{reader} reads up to opset {opset}" if reader else f"opset {opset} was asked for"
        model = _older(model, present, opset, why)
    elif opset > present:
        model = _newer(model, present, opset)
    model.ir_version = max(model.ir_version, _ir_of(opset))
    return model


def known_opset(opset: int) -> None:
    """Raises `BadInput` for an opset that is unknown to this onnx."""
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not 7 <= opset <= newest:
        raise BadInput(f"opset {opset}: this onnx {onnx.__version__} knows 7 to {newest}")


def fit_within(model: ModelProto, *, opset_max: int, ir_max: int, reader: str = "") -> ModelProto:
    """`model` with an opset and an IR version that are no newer than these; never raised.

    Raises `BadInput` as `fit_opset` does, and if the opset itself needs a newer IR version.
    """
    if opset_of(model) > opset_max:
        model = fit_opset(model, opset_max, reader=reader)
    needed = _ir_of(opset_of(model))
    if needed > ir_max:
        raise BadInput(
            f"opset {opset_of(model)} came with IR version {needed};"
            f" {reader or 'the limit'} reads up to {ir_max}"
        )
    if model.ir_version > ir_max:
        model.ir_version = needed
    return model


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators that `model` asks for."""
    found = [int(item.version) for item in model.opset_import if item.domain in STANDARD]
    if len(found) != 1:
        raise BadInput(f"the model imports ONNX's operators {len(found)} times; expected once")
    return found[0]


def _older(model: ModelProto, present: int, opset: int, why: str) -> ModelProto:
    if not _changed(model.graph, present, opset):
        _set_opset(model, opset)
        return model
    known = known_of(model)
    for node in _changed(model.graph, present, opset):
        newer, older = _schema(node.op_type, present), _schema(node.op_type, opset)
        if newer is None or older is None:
            raise BadInput(f"{node.name} is a {node.op_type}, which came with opset {newer}; {why}")
        reason = lowered(node, newer, older, known)
        if reason is None:
            reason = f"edgestill knows no way from opset {newer} to {older}"
        if reason:
            raise BadInput(
                f"{node.name} ({node.op_type}) cannot be written as of opset {opset}:"
                f" {reason}; {why}"
            )
    drop_unused_constants(model.graph)
    _set_opset(model, opset)
    return model


def _newer(model: ModelProto, present: int, opset: int) -> ModelProto:
    import onnx
    from onnx import version_converter

    if not _changed(model.graph, present, opset):
        _set_opset(model, opset)
        return model
    try:
        made: ModelProto = version_converter.convert_version(model, opset)
    except RuntimeError as error:  # what its assertions in C++ become
        text = " ".join(str(error).split())
        reason = text.partition("` failed: ")[2] or text[:200]
        raise BadInput(f"the network cannot be written as of opset {opset}: {reason}") from error
    onnx.checker.check_model(made)
    made.ir_version = model.ir_version
    made.producer_name, made.producer_version = model.producer_name, model.producer_version
    made.graph.name, made.doc_string = model.graph.name, model.doc_string
    return made


def _changed(graph: GraphProto, present: int, wanted: int) -> list[NodeProto]:
    """The nodes whose operator is defined anew between the two opsets."""
    return [
        node
        for node in _nodes(graph)
        if node.domain in STANDARD
        and _schema(node.op_type, present) != _schema(node.op_type, wanted)
    ]


def _schema(operator: str, opset: int) -> int | None:
    """The opset with which the definition of `operator` came that is valid at `opset`."""
    import onnx

    try:
        return int(onnx.defs.get_schema(operator, opset, "").since_version)
    except onnx.defs.SchemaError:
        return None


def _set_opset(model: ModelProto, opset: int) -> None:
    for item in model.opset_import:
        if item.domain in STANDARD:
            item.version = opset


def _ir_of(opset: int) -> int:
    """The IR version that the release of ONNX with `opset` brought."""
    from onnx import helper

    # Rows of (release, IR version, opset of ONNX's own operators, ...).
    rows = [row for row in helper.VERSION_TABLE if row[2] >= opset]
    return min(int(row[1]) for row in rows)


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """All nodes, those of subgraphs too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)
