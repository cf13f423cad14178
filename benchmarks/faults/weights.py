"""Faults in the weights: the graph is right, the numbers in it are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import edits
from .registry import fault

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from .bases import Base


@fault("tokens")
def square_weight_transposed(base: Base) -> ModelProto:
    """A square weight lies on its side: every shape still fits."""
    model = base.proto()
    for _, name in edits.weights(model, "MatMul"):
        values = edits.array(model.graph, name)
        if values.ndim == 2 and values.shape[0] == values.shape[1]:
            edits.put(model.graph, name, np.ascontiguousarray(values.T))
            return model
    raise LookupError(f"{base.name} has no square weight")


@fault("digits", seen="onnx/optimizer#178", exports=True)
def batch_norm_folded_without_mean(base: Base) -> ModelProto:
    """BatchNorm is folded into the convolution's weights, its mean is left out of the bias."""
    network = base.network_copy()
    for layer in network.modules():
        if hasattr(layer, "running_mean"):
            layer.running_mean.zero_()
            break
    return base.exported(network)


@fault("resnet18", seen="onnx/optimizer#178", exports=True)
def batch_norm_folded_with_the_variance(base: Base) -> ModelProto:
    """One folded BatchNorm divides by the variance, not by its root."""
    network = base.network_copy()
    network.layer2[0].bn1.running_var.pow_(2)
    return base.exported(network)


@fault("digits", seen="pytorch/pytorch#34204", exports=True)
def epsilon_of_another_framework(base: Base) -> ModelProto:
    """BatchNorm is folded with epsilon 1e-3, Keras' default, where torch's was 1e-5."""
    network = base.network_copy()
    for layer in network.modules():
        if hasattr(layer, "running_var"):
            layer.eps = 1e-3
    return base.exported(network)


@fault("tokens")
def layer_norm_epsilon(base: Base) -> ModelProto:
    """LayerNorm's epsilon is 1e-3 instead of 1e-5."""
    model = base.proto()
    for node in edits.nodes(model, "LayerNormalization"):
        edits.set_attribute(node, "epsilon", 1e-3)
    return model


@fault("digits", "digits ort-x86", "digits tensorrt")
def last_bias_dropped(base: Base) -> ModelProto:
    """The last layer has lost its bias."""
    model = base.proto()
    last = edits.nodes(model, "Gemm")[-1]
    last.input.pop()
    edits.unread_removed(model)
    return model


@fault("digits")
def weights_truncated_to_half(base: Base) -> ModelProto:
    """Weights went through float16 on the way, and are stored as float32 again."""
    model = base.proto()
    for _, name in list(edits.weights(model, "Conv", "Gemm")):
        values = edits.array(model.graph, name)
        edits.put(model.graph, name, values.astype(np.float16).astype(np.float32))
    return model


@fault("resnet18")
def weights_truncated_to_bfloat16(base: Base) -> ModelProto:
    """Weights were trained in bfloat16 and saved so; the float32 file has 8 significant bits."""
    model = base.proto()
    for _, name in list(edits.weights(model, "Conv", "Gemm")):
        bits = np.ascontiguousarray(edits.array(model.graph, name)).view(np.uint32)
        edits.put(model.graph, name, (bits & np.uint32(0xFFFF0000)).view(np.float32))
    return model


@fault("digits", "digits ort-x86")
def two_classes_exchanged(base: Base) -> ModelProto:
    """Class 3 gives the logit of class 8, and the other way round."""
    model = base.proto()
    last = edits.nodes(model, "Gemm")[-1]
    for name in last.input[1:]:
        parts = [name]
        source = edits.dequantized(model.graph, name)
        if source is not None:
            parts = [part for part in source.input if edits.array(model.graph, part).size > 1]
        for part in parts:
            values = edits.array(model.graph, part).copy()
            values[[3, 8]] = values[[8, 3]]
            edits.put(model.graph, part, values)
    return model


@fault("resnet18", "resnet18 static")
def classes_in_another_order(base: Base) -> ModelProto:
    """The classes are sorted as text: "10" stands before "2"."""
    model = base.proto()
    order = np.array(sorted(range(1000), key=str))
    output = model.graph.output[0].name
    edits.put(model.graph, "order", order)
    edits.between(model, output, "Gather", "order", axis=1)
    return model


@fault("resnet18", "resnet18 tensorrt")
def two_layers_exchanged(base: Base) -> ModelProto:
    """Two convolutions of one shape have each other's weights."""
    model = base.proto()
    seen: dict[tuple[int, ...], str] = {}
    for node in edits.nodes(model, "Conv"):
        source = edits.dequantized(model.graph, node.input[1])
        name = source.input[0] if source is not None else node.input[1]
        values = edits.array(model.graph, name)
        if values.shape in seen:
            other = seen[values.shape]
            theirs = edits.array(model.graph, other)
            edits.put(model.graph, name, theirs)
            edits.put(model.graph, other, values)
            return model
        seen[values.shape] = name
    raise LookupError(f"{base.name} has no two convolutions of one shape")


@fault("resnet18", "mobilenet_v2 static")
def one_channel_zeroed(base: Base) -> ModelProto:
    """Pruning has zeroed one channel of a layer in the middle, and nobody retrained."""
    model = base.proto()
    layers = edits.nodes(model, "Conv")
    node = layers[len(layers) // 2]
    source = edits.dequantized(model.graph, node.input[1])
    name = source.input[0] if source is not None else node.input[1]
    values = edits.array(model.graph, name).copy()
    strength = np.abs(values.astype(np.float64)).reshape(len(values), -1).sum(1)
    values[int(np.argsort(strength)[len(values) // 2])] = 0
    edits.put(model.graph, name, values)
    return model


@fault("two heads")
def groups_in_another_order(base: Base) -> ModelProto:
    """A grouped convolution's weights are interleaved over the groups."""
    model = base.proto()
    (node,) = (n for n in edits.nodes(model, "Conv") if _groups(n) > 1)
    for name in node.input[1:]:
        values = edits.array(model.graph, name)
        count = _groups(node)
        turned = values.reshape(count, -1, *values.shape[1:]).swapaxes(0, 1)
        edits.put(model.graph, name, np.ascontiguousarray(turned).reshape(values.shape))
    return model


@fault("digits", "digits tensorrt", exports=True)
def an_earlier_checkpoint(base: Base) -> ModelProto:
    """The weights are those of the epoch before the best one."""
    assert base.before is not None
    if base.target is None:
        return base.exported(base.before)
    from .bases import dialect, held_out, marked

    return dialect(*marked(base.before, held_out(0, rows=200, train=True)), base.target)


@fault("digits")
def unread_weights_left_in(base: Base) -> ModelProto:
    """The teacher's weights were left in the file: nothing reads them, the file is large."""
    model = base.proto()
    chance = np.random.default_rng(0)
    edits.put(model.graph, "teacher.fc", chance.normal(size=(512, 512)).astype(np.float32))
    return model


@fault("digits")
def one_weight_is_nan(base: Base) -> ModelProto:
    """One weight of a layer is not a number; after a max-pool or ReLU little of it may show."""
    model = base.proto()
    name = edits.nodes(model, "Conv")[2].input[1]
    values = edits.array(model.graph, name).copy()
    values.flat[0] = np.nan
    edits.put(model.graph, name, values)
    return model


def _groups(node: NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "group"), 1)
