"""Faults at the door: the numbers that go in are not those that the network learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from . import edits, networks
from .registry import fault

if TYPE_CHECKING:
    from onnx import ModelProto

    from .bases import Base


@fault("digits pixels", exports=True)
def normalisation_exchanged(base: Base) -> ModelProto:
    """Mean and deviation are exchanged in the normalisation inside the file."""
    network = base.network_copy()
    return base.exported(
        networks.FromPixels(network.inner, mean=networks.STD, std=networks.MEAN).eval()
    )


@fault("digits pixels", exports=True)
def not_divided_by_255(base: Base) -> ModelProto:
    """Pixels are taken as if they were in 0 .. 1 already."""
    return base.exported(networks.FromPixels(base.network_copy().inner, peak=1).eval())


@fault("digits", "digits ort-x86", seen="CondadosAI/modern-yolonas#7")
def rgb_as_bgr(base: Base) -> ModelProto:
    """The first convolution reads red as blue; accuracy falls by little, so nobody notices."""
    model = base.proto()
    first = edits.nodes(model, "Conv")[0]
    source = edits.dequantized(model.graph, first.input[1])
    name = source.input[0] if source is not None else first.input[1]
    kernel = edits.array(model.graph, name).copy()
    kernel[:, :3] = kernel[:, 2::-1]
    edits.put(model.graph, name, kernel)
    return model


@fault("digits pixels", exports=True)
def mean_of_bgr(base: Base) -> ModelProto:
    """The normalisation's three means and deviations stand in the order of BGR."""
    inner = base.network_copy().inner
    return base.exported(
        networks.FromPixels(inner, mean=networks.MEAN[::-1], std=networks.STD[::-1]).eval()
    )


@fault("digits")
def rows_last_instead_of_channels(base: Base) -> ModelProto:
    """The file takes (N, H, W, C) where callers give (N, C, H, W)."""
    model = base.proto()
    (value,) = model.graph.input
    edits.between(model, value.name, "Transpose", perm=[0, 3, 1, 2])
    sizes = value.type.tensor_type.shape.dim
    channels = sizes[1].dim_value
    for axis in (1, 2):
        sizes[axis].dim_value = sizes[axis + 1].dim_value
    sizes[3].dim_value = channels
    return model


@fault("digits pixels")
def floats_instead_of_pixels(base: Base) -> ModelProto:
    """The input is declared float32 where the device hands over uint8."""
    model = base.proto()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    del model.graph.value_info[:]
    return model


@fault("tokens")
def inputs_exchanged(base: Base) -> ModelProto:
    """Two inputs of one shape have each other's name."""
    model = base.proto()
    names = [value.name for value in model.graph.input]
    other = dict(zip(names, reversed(names), strict=True))
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = other.get(name, name)
    return model


@fault("tokens", exports=True)
def mask_not_read_by_attention(base: Base) -> ModelProto:
    """Attention looks at padding too; the mask is still an input, and still read by the pooling."""
    network = base.network_copy()
    network.masks = False
    return base.exported(network)


@fault("digits pixels")
def pixels_wrap_around(base: Base) -> ModelProto:
    """Pixels wrap around: a brightness offset is added in uint8 before the normalisation."""
    model = base.proto()
    name = model.graph.input[0].name
    edits.put(model.graph, "offset", np.array(16, np.uint8))
    edits.between(model, name, "Add", "offset")
    return model
