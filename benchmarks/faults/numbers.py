"""Faults of arithmetic: overflow, division by nothing, chance, rows that depend on others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper

from . import edits
from .registry import fault

if TYPE_CHECKING:
    from onnx import ModelProto

    from .bases import Base


@fault("digits fp16", seen="NVIDIA/TensorRT#2564", exports=True)
def activations_overflow_half(base: Base) -> ModelProto:
    """A layer's values reach 200,000: harmless in float32, Inf in float16.

    One layer gives 20,000 times as much and the next takes it back, which in float32 changes
    nothing; ONNX Runtime's CPU kernels compute float16 in float32 and may not notice either.
    """
    network = base.network_copy()
    norm = next(m for m in network.modules() if hasattr(m, "running_var"))
    norm.weight.data *= 2e4
    norm.bias.data *= 2e4
    block = network.stage1[0]
    for layer in (block.conv1, block.shortcut):
        layer.conv.weight.data /= 2e4
    return base.exported(network)


@fault("digits fp16", seen="NVIDIA/TensorRT#2466")
def weights_overflow_half(base: Base) -> ModelProto:
    """A weight beyond 65,504 became Inf when the file was written as float16."""
    model = base.proto()
    name = edits.nodes(model, "Conv")[2].input[1]
    values = edits.array(model.graph, name).copy()
    values.flat[int(np.abs(values).argmax())] = np.inf
    edits.put(model.graph, name, values)
    return model


@fault("digits fp16", exports=True)
def half_at_the_ends_too(base: Base) -> ModelProto:
    """Images and logits are float16 as well, where callers hand over float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    from edgestill.export.to_onnx import onnx_from_model

    model = onnx_from_model(base.network_copy(), (3, 16, 16))
    made: ModelProto = convert_float_to_float16(model, keep_io_types=False)
    return made


@fault("digits")
def nan_for_a_black_image(base: Base) -> ModelProto:
    """Images are divided by their own largest value: 0 / 0 for one that is all zeros."""
    model = base.proto()
    graph = model.graph
    name = graph.input[0].name
    edits.put(graph, "pixel_axes", np.array([1, 2, 3]))
    edits.between(model, name, "Div", "peak")
    readers = edits.consumers(graph, name)
    place = list(graph.node).index(readers[0])
    nodes = [
        helper.make_node("Abs", [name], ["size"], "size"),
        helper.make_node("ReduceMax", ["size", "pixel_axes"], ["peak"], "peak", keepdims=1),
    ]
    for node in reversed(nodes):
        graph.node.insert(place, node)
    return model


@fault("digits pixels")
def nan_for_an_even_image(base: Base) -> ModelProto:
    """Each image is normalised by its own deviation, which is 0 where all pixels are alike."""
    model = base.proto()
    graph = model.graph
    node = edits.nodes(model, "Sub")[0]
    name = node.input[0]
    edits.put(graph, "pixel_axes", np.array([1, 2, 3]))
    place = list(graph.node).index(node)
    made = [
        helper.make_node("ReduceMean", [name, "pixel_axes"], ["own_mean"], "own_mean", keepdims=1),
        helper.make_node("Sub", [name, "own_mean"], ["centred"], "centred"),
        helper.make_node(
            "ReduceL2", ["centred", "pixel_axes"], ["own_size"], "own_size", keepdims=1
        ),
        helper.make_node("Div", ["centred", "own_size"], ["own"], "own"),
        helper.make_node("Mul", ["own", "own_size"], ["scaled"], "scaled"),
        helper.make_node("Add", ["scaled", "own_mean"], ["evened"], "evened"),
    ]
    node.input[0] = "evened"
    for each in reversed(made):
        graph.node.insert(place, each)
    return model


@fault("digits", seen="microsoft/onnxruntime#5549")
def dropout_still_on(base: Base) -> ModelProto:
    """Exported in training mode: Dropout drops, so no two runs agree."""
    model = base.proto()
    edits.put(model.graph, "ratio", np.array(0.1, np.float32))
    edits.put(model.graph, "training", np.array(True))
    name = edits.nodes(model, "Gemm")[0].input[0]
    edits.between(model, name, "Dropout", "ratio", "training")
    return model


@fault("digits", seen="microsoft/onnxruntime#26584")
def batch_norm_still_training(base: Base) -> ModelProto:
    """BatchNorm takes its mean over the batch at hand: a row depends on its neighbours."""
    model = base.proto()
    name = edits.nodes(model, "Gemm")[0].input[0]
    graph = model.graph
    edits.put(graph, "rows", np.array([0]))
    node = edits.nodes(model, "Gemm")[0]
    place = list(graph.node).index(node)
    made = [
        helper.make_node("ReduceMean", [name, "rows"], ["batch_mean"], "batch_mean", keepdims=1),
        helper.make_node("Sub", [name, "batch_mean"], ["centred"], "centred"),
    ]
    node.input[0] = "centred"
    for each in reversed(made):
        graph.node.insert(place, each)
    return model


@fault("digits")
def noise_of_training_left_in(base: Base) -> ModelProto:
    """Noise that is added in training is added in the file too, a thousandth of the logits."""
    model = base.proto()
    graph = model.graph
    node = edits.nodes(model, "Gemm")[0]
    name = node.input[0]
    place = list(graph.node).index(node)
    made = [
        helper.make_node(
            "RandomNormalLike", [name], ["noise"], "noise", scale=1e-3, dtype=TensorProto.FLOAT
        ),
        helper.make_node("Add", [name, "noise"], ["noisy"], "noisy"),
    ]
    node.input[0] = "noisy"
    for each in reversed(made):
        graph.node.insert(place, each)
    return model
