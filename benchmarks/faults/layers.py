"""Faults in the graph: a layer computes something else than the network's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import edits
from .registry import fault

if TYPE_CHECKING:
    from onnx import ModelProto

    from .bases import Base


@fault("digits", "digits tensorrt")
def relu_dropped(base: Base) -> ModelProto:
    """One ReLU inside a block is gone."""
    model = base.proto()
    # The second is a block's first: behind the last one, a mean hides half of what changes.
    edits.drop(model, edits.nodes(model, "Relu")[1])
    return model


@fault("mobilenet_v2")
def relu6_without_its_ceiling(base: Base) -> ModelProto:
    """ReLU6 is written as ReLU: the same up to 6."""
    model = base.proto()
    for node in edits.nodes(model, "Clip"):
        node.op_type = "Relu"
        del node.input[1:]
    return model


@fault("digits", "resnet18 tensorrt")
def padding_at_one_end(base: Base) -> ModelProto:
    """A convolution of stride 2 pads 0 before and 2 behind, as TensorFlow's SAME does, not 1 and 1.

    The shapes are the same; every feature map is off by one pixel.
    """
    model = base.proto()
    node = next(
        n
        for n in edits.nodes(model, "Conv")
        if list(edits.attribute(n, "strides").ints) == [2, 2]
        and list(edits.attribute(n, "pads").ints) == [1, 1, 1, 1]
    )
    edits.set_attribute(node, "pads", [0, 0, 2, 2])
    return model


@fault("two heads", seen="pytorch/pytorch#99424", exports=True)
def ceil_mode_lost(base: Base) -> ModelProto:
    """A max-pool rounds its output's size down; with means behind it every shape still fits."""
    network = base.network_copy()
    network.pool.ceil_mode = False
    return base.exported(network)


@fault("two heads", seen="pytorch/pytorch#183528")
def padding_not_counted(base: Base) -> ModelProto:
    """An average-pool divides by the pixels in the image, not by all of its window."""
    model = base.proto()
    edits.set_attribute(edits.nodes(model, "AveragePool")[0], "count_include_pad", 0)
    return model


@fault("two heads", seen="NVIDIA/TensorRT#273")
def resize_aligns_corners(base: Base) -> ModelProto:
    """Resize maps corner to corner, torch's align_corners=True, where it was False."""
    model = base.proto()
    node = edits.nodes(model, "Resize")[0]
    edits.set_attribute(node, "coordinate_transformation_mode", "align_corners")
    return model


@fault("two heads", seen="NVIDIA/TensorRT#273")
def resize_to_the_nearest(base: Base) -> ModelProto:
    """Resize takes the nearest pixel where it was to interpolate."""
    model = base.proto()
    edits.set_attribute(edits.nodes(model, "Resize")[0], "mode", "nearest")
    return model


@fault("two heads", exports=True)
def channels_not_shuffled(base: Base) -> ModelProto:
    """The shuffle between two grouped convolutions, a transposition, was optimised away."""
    network = base.network_copy()
    network.shuffles = False
    return base.exported(network)


@fault("two heads")
def concat_in_another_order(base: Base) -> ModelProto:
    """Two feature maps of one shape are put together the other way round."""
    model = base.proto()
    node = edits.nodes(model, "Concat")[0]
    node.input[:] = [*reversed(node.input)]
    return model


@fault("two heads")
def dilation_lost(base: Base) -> ModelProto:
    """A dilated convolution is written as a plain one, its padding fitted so that shapes agree."""
    model = base.proto()
    (node,) = (
        n
        for n in edits.nodes(model, "Conv")
        if list(edits.attribute(n, "dilations").ints) == [2, 2]
    )
    edits.set_attribute(node, "dilations", [1, 1])
    edits.set_attribute(node, "pads", [1, 1, 1, 1])
    return model


@fault("two heads")
def sigmoid_forgotten(base: Base) -> ModelProto:
    """The scores come out as logits."""
    model = base.proto()
    edits.drop(model, edits.nodes(model, "Sigmoid")[0])
    return model


@fault("digits", "digits ort-x86")
def softmax_added(base: Base) -> ModelProto:
    """The logits come out as probabilities: every class is right, every threshold wrong."""
    model = base.proto()
    edits.between(model, model.graph.output[0].name, "Softmax", axis=1)
    return model


@fault("digits", "digits ort-arm64")
def logits_negated(base: Base) -> ModelProto:
    """The best class has the smallest logit."""
    model = base.proto()
    edits.between(model, model.graph.output[0].name, "Neg")
    return model


@fault("digits class")
def argmax_flipped(base: Base) -> ModelProto:
    """ArgMin stands where ArgMax did: the class is the least likely one."""
    model = base.proto()
    edits.nodes(model, "ArgMax")[0].op_type = "ArgMin"
    return model


@fault("digits class")
def classes_counted_from_one(base: Base) -> ModelProto:
    """The class numbers are one too high, as if class 0 were the background."""
    model = base.proto()
    edits.put(model.graph, "background", np.array(1, np.int64))
    edits.between(model, model.graph.output[0].name, "Add", "background")
    return model


@fault("tokens", exports=True)
def softmax_over_another_axis(base: Base) -> ModelProto:
    """Attention's weights add up to one over the queries, not over the keys."""
    network = base.network_copy()
    network.attention.axis = -2
    return base.exported(network)


@fault("tokens", exports=True)
def gelu_approximated(base: Base) -> ModelProto:
    """GELU is computed by tanh, where the network was trained with erf."""
    from torch import nn

    network = base.network_copy()
    network.gelu = nn.GELU(approximate="tanh")
    return base.exported(network)


@fault("digits")
def residual_dropped(base: Base) -> ModelProto:
    """A block's shortcut is not added."""
    model = base.proto()
    node = edits.nodes(model, "Add")[0]
    edits.drop(model, node)
    edits.unread_removed(model)
    return model


@fault("digits")
def a_network_of_twice_the_size(base: Base) -> ModelProto:
    """A pruned network exported with its masked channels: the same numbers, twice the work."""
    model = base.proto()
    graph = model.graph
    node, name = next(iter(edits.weights(model, "Conv")))
    readers = edits.consumers(graph, edits.consumers(graph, node.output[0])[0].output[0])
    kernel, bias = edits.array(graph, name), edits.array(graph, node.input[2])
    edits.put(graph, name, np.concatenate([kernel, np.zeros_like(kernel)]))
    edits.put(graph, node.input[2], np.concatenate([bias, np.zeros_like(bias)]))
    for reader in readers:
        wide = edits.array(graph, reader.input[1])
        edits.put(graph, reader.input[1], np.concatenate([wide, np.zeros_like(wide)], axis=1))
    _forget_shapes(model)
    return model


def _forget_shapes(model: ModelProto) -> None:
    """Without the shapes that the exporter noted for values inside."""
    del model.graph.value_info[:]
