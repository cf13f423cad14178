"""A graph whose free axes have sizes, with the shapes of all its values inferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .check_report import Skip
from .runtime import one_line

if TYPE_CHECKING:
    from onnx import ModelProto


LARGE_ELEMENTS = 1024
"""No operator's shape depends on the values of a constant larger than that."""


def sized(
    model: ModelProto, shapes: Mapping[str, Sequence[int]], *, batch: int | None, whole: bool
) -> ModelProto:
    """A copy of `model` for inputs of `shapes`, and the shapes of its values; cannot be run.

    `shapes` are those of samples: without the batch axis, unless `whole`. `batch` is the size for
    a free batch axis. Its large constants hold nothing, so it takes little memory. Raises `Skip`
    where ONNX cannot infer the shapes.
    """
    import onnx

    copy = _without_weights(model)
    for value in copy.graph.input:
        if value.name not in shapes:
            continue
        axes = value.type.tensor_type.shape.dim
        if not whole and batch is not None and len(axes):
            axes[0].dim_value = batch
        for axis, size in zip(axes if whole else axes[1:], shapes[value.name], strict=False):
            axis.dim_value = size
    # What stands there may hold the names of axes that are sizes now.
    del copy.graph.value_info[:]
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        # Without data propagation: on a broken file of 272 bytes that took 26 s and 4 GB.
        return onnx.shape_inference.infer_shapes(copy)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise Skip(f"the shapes of its values cannot be inferred: {one_line(error)}") from error


def _without_weights(model: ModelProto) -> ModelProto:
    """A copy whose large constants have a type and dims alone."""
    import math

    from onnx import ModelProto, TensorProto

    light = ModelProto()
    for source, copy in ((model, light), (model.graph, light.graph)):
        for field, value in source.ListFields():
            if field.name in ("graph", "initializer"):
                continue
            if field.is_repeated:
                getattr(copy, field.name).extend(value)
            elif field.message_type is not None:
                getattr(copy, field.name).CopyFrom(value)
            else:
                setattr(copy, field.name, value)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) > LARGE_ELEMENTS:
            tensor = TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
        light.graph.initializer.append(tensor)
    return light
