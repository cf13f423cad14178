"""logits --> probabilities, or the k most probable classes with their scores.

    softmax    probabilities (N, K) float32
    top5       scores (N, 5) float32, classes (N, 5): the five largest logits' classes, in order

The classes are those of the largest logits, not of the largest probabilities: where the softmax
rounds several to 0 or 1, these are tied and would come in the order of the classes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from ..models.errors import BadInput
from .graph import constants, outputs

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

PROBABILITIES, SCORES, CLASSES = "probabilities", "scores", "classes"
HEADS = "softmax, or topK as top5"


def add_head(model: ModelProto, head: str, *, int32: bool = False) -> None:
    """Gives `model`, a classifier with one output of logits, the outputs of `head`, in place.

    ONNX has class numbers as int64, which TensorRT takes from 10 on; `int32` casts them.

    Raises `BadInput` for a head that is none, for more classes than the model tells apart, and for
    a model with other outputs than float32 logits (N, K).
    """
    from onnx import TensorProto, helper, numpy_helper

    count = head_count(head)
    graph = model.graph
    logits, rows, classes = _logits(graph)
    check_head(head, classes)
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= set(constants(graph))
    wanted = {PROBABILITIES, SCORES, CLASSES, f"{CLASSES}.k"}
    if taken & wanted:
        raise BadInput(f"the network has a value named {min(taken & wanted)!r} already")
    nodes: list[NodeProto] = [
        helper.make_node("Softmax", [logits], [PROBABILITIES], name="head/softmax", axis=-1)
    ]
    shapes = {PROBABILITIES: (TensorProto.FLOAT, classes)}
    if count is not None:
        graph.initializer.append(numpy_helper.from_array(np.array([count]), f"{CLASSES}.k"))
        found = "classes/int64" if int32 else CLASSES
        nodes += [
            helper.make_node(
                "TopK",
                [logits, f"{CLASSES}.k"],
                ["classes/logits", found],
                name="head/top",
                axis=-1,
            ),
            helper.make_node(
                "GatherElements", [PROBABILITIES, found], [SCORES], name="head/scores", axis=-1
            ),
        ]
        kind = TensorProto.INT32 if int32 else TensorProto.INT64
        if int32:
            nodes.append(helper.make_node("Cast", [found], [CLASSES], name="head/classes", to=kind))
        shapes = {SCORES: (TensorProto.FLOAT, count), CLASSES: (kind, count)}
    graph.node.extend(nodes)
    del graph.output[:]
    for name, (kind, columns) in shapes.items():
        graph.output.append(helper.make_tensor_value_info(name, kind, [rows, columns]))


def head_count(head: str) -> int | None:
    """The classes that `head` gives, None for all (softmax); `BadInput` if it is none.

    >>> head_count("top5")
    5
    """
    if head == "softmax":
        return None
    found = re.fullmatch(r"top([1-9]\d{0,3})", head)
    if not found:
        raise BadInput(f"head {head!r}: expected {HEADS}")
    return int(found[1])


def check_head(head: str, classes: int) -> None:
    """Raises `BadInput` if `head`, not logits, gives more classes than the network has."""
    count = head_count(head)
    if count is not None and count > classes:
        raise BadInput(f"head {head}: the network tells {classes} classes apart")


def _logits(graph: GraphProto) -> tuple[str, int | str | None, int]:
    """Name, first axis and classes of the only output."""
    from onnx import TensorProto

    if len(graph.output) != 1:
        raise BadInput(
            f"the network has the outputs {', '.join(sorted(outputs(graph)))}; a head takes one"
        )
    (value,) = graph.output
    tensor = value.type.tensor_type
    sizes = [
        axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None
        for axis in tensor.shape.dim
    ]
    if tensor.elem_type != TensorProto.FLOAT or len(sizes) != 2 or not isinstance(sizes[1], int):
        raise BadInput(f"{value.name} has the axes {sizes}; a head takes float32 logits (N, K)")
    return value.name, sizes[0], sizes[1]
