"""Operators that draw by chance, or were left as in training: no model that is shipped has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .graph import attribute, constants, nested_nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

BY_CHANCE = frozenset(
    (
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    )
)


def left_in_training(model: ModelProto) -> list[str]:
    """Name and reason of each such operator; ONNX Runtime drops some before it runs a file."""
    known = constants(model.graph)
    found = []
    for node in nested_nodes(model.graph, *model.functions):
        if reason := _reason(node, known):
            found.append(f"{node.name or (node.output[0] if node.output else '?')} {reason}")
    return found


def _reason(node: NodeProto, known: dict[str, TensorProto]) -> str:
    if node.domain not in ("", "ai.onnx"):
        return ""
    if node.op_type in BY_CHANCE:
        return f"({node.op_type}) draws by chance"
    if node.op_type == "BatchNormalization" and attribute(node, "training_mode", 0):
        return "(BatchNormalization) is in training mode"
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
        mode = known.get(node.input[2])
        # bool in int32_data or raw_data; absent where an input or another node decides.
        if mode is None or any(mode.raw_data) or any(mode.int32_data):
            return "(Dropout) is in training mode"
    return ""
