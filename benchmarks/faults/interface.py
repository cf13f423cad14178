"""Faults of the file's interface: names, shapes, batch axis, outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper

from . import edits
from .registry import fault

if TYPE_CHECKING:
    from onnx import ModelProto

    from .bases import Base


@fault("digits", "resnet18 static")
def output_renamed(base: Base) -> ModelProto:
    """The exporter has named the output itself; callers ask for it by its old name."""
    model = base.proto()
    (value,) = model.graph.output
    edits.producer(model.graph, value.name).output[0] = "linear_1"
    value.name = "linear_1"
    return model


@fault("digits", "digits tensorrt", seen="pytorch/pytorch#157621")
def batch_fixed_at_1(base: Base) -> ModelProto:
    """The batch axis is not free any more."""
    model = base.proto()
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        sizes = value.type.tensor_type.shape.dim
        if len(sizes) and sizes[0].dim_param:
            sizes[0].dim_value = 1
    return model


@fault("digits", seen="microsoft/onnxruntime#10463")
def batch_of_1_inside(base: Base) -> ModelProto:
    """The batch axis is declared free, but a Reshape inside says 1: a traced view(1, -1)."""
    model = base.proto()
    node = edits.nodes(model, "Reshape")[0]
    width = edits.array(model.graph, edits.nodes(model, "Gemm")[0].input[1]).shape[1]
    edits.put(model.graph, "traced", np.array([1, width]))
    node.input[1] = "traced"
    edits.unread_removed(model)
    return model


@fault("tokens", seen="microsoft/onnxruntime#10463")
def batch_of_2_inside(base: Base) -> ModelProto:
    """A Reshape inside says 2, the batch that the exporter was shown."""
    model = base.proto()
    for node in edits.nodes(model, "Reshape"):
        sizes = edits.array(model.graph, node.input[1]).copy()
        if sizes[0] == -1:
            sizes[0] = 2
            edits.put(model.graph, node.input[1], sizes)
            return model
        if sizes[0] == 0:
            sizes[0] = 2
            edits.put(model.graph, node.input[1], sizes)
            return model
    raise LookupError("no Reshape with a free batch")


@fault("two heads")
def outputs_exchanged(base: Base) -> ModelProto:
    """Scores and boxes have each other's place; who reads them by position gets the other."""
    model = base.proto()
    first, second = (value for value in model.graph.output)
    kept = [second.SerializeToString(), first.SerializeToString()]
    for value, text in zip(model.graph.output, kept, strict=True):
        value.ParseFromString(text)
    return model


@fault("two heads")
def an_output_lost(base: Base) -> ModelProto:
    """The second output is not in the file."""
    model = base.proto()
    model.graph.output.pop()
    edits.unread_removed(model)
    return model


@fault("digits")
def a_feature_map_left_as_output(base: Base) -> ModelProto:
    """A feature map marked for debugging is still an output: it is copied at every call."""
    model = base.proto()
    name = edits.nodes(model, "Relu")[2].output[0]
    model.graph.output.append(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 8, 16, 16])
    )
    return model


@fault("tokens")
def integers_of_32_bits(base: Base) -> ModelProto:
    """The ids are declared int32 where callers hand over int64."""
    model = base.proto()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32
    return model


@fault("resnet18")
def another_image_size(base: Base) -> ModelProto:
    """Exported for 96 x 96 where the camera is cut to 64 x 64."""
    model = base.proto()
    for size in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        size.dim_value = 96
    del model.graph.value_info[:]
    return model


@fault("digits")
def logits_of_another_shape(base: Base) -> ModelProto:
    """The output has an axis more, (N, 10, 1): whoever takes its argmax over axis -1 gets 0."""
    model = base.proto()
    edits.put(model.graph, "axis", np.array([2]))
    edits.between(model, model.graph.output[0].name, "Unsqueeze", "axis")
    model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = 1
    return model
