"""Faults of INT8 files: wrong ranges, wrong types, and Q/DQ where the runtime cannot use them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import helper

from . import edits
from .exporters import quantized_statically
from .registry import fault

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgestill.models.ranges import Ranges

    from .bases import Base


@fault("mobilenet_v2 static", "resnet18 static", seen="PINTO0309/onnx2tf#741")
def weights_per_tensor(base: Base) -> ModelProto:
    """One scale for all channels of a layer, where there was one for each."""
    assert base.whole is not None
    return quantized_statically(base.whole, [base.calibration], per_channel=False)


@fault("digits tensorrt", "digits ort-x86", seen="PINTO0309/onnx2tf#741")
def weights_on_one_scale(base: Base) -> ModelProto:
    """Every channel has the scale of the layer's largest weight; the file looks per channel."""
    ranges = _ranges(base)
    weights = {
        path: replace(kept, scales=(max(kept.scales),) * len(kept.scales))
        for path, kept in ranges.weights.items()
    }
    return _dialect(base, replace(ranges, weights=weights))


@fault("digits ort-x86", "digits tensorrt")
def scale_too_small(base: Base) -> ModelProto:
    """One layer's range is an eighth of what its values need: most of them saturate."""
    return _with_range(base, 3, 1 / 8)


@fault("digits ort-x86", "digits tensorrt")
def scale_too_large(base: Base) -> ModelProto:
    """One layer's range is 32 times what its values need: eight codes are left for them."""
    return _with_range(base, 3, 32)


@fault("digits tensorrt", "digits ort-x86")
def never_calibrated(base: Base) -> ModelProto:
    """Every range is the start value, 1.0."""
    ranges = _ranges(base)
    activations = {name: replace(kept, amax=1.0) for name, kept in ranges.activations.items()}
    return _dialect(base, replace(ranges, activations=activations))


@fault("digits ort-x86", exports=True)
def calibrated_on_unnormalised_images(base: Base) -> ModelProto:
    """The calibration images were pixels in 0 .. 255, not normalised ones."""
    import torch

    from .bases import dialect, marked

    images = torch.tensor(base.calibration["images"])
    made = marked(base.network_copy(), (images - images.min()) * 60)
    return dialect(*made, "ort-x86")


@fault("digits tensorrt", exports=True)
def four_bits(base: Base) -> ModelProto:
    """The weights have 4 bits, left over from an experiment, stored as int8."""
    import torch

    from edgestill.export import onnx_from_model
    from edgestill.models.fake_quant import calibrate, prepare
    from edgestill.models.fold import fold_batch_norm

    from .bases import dialect

    prepared = prepare(fold_batch_norm(base.network_copy()), bits=4)
    calibrate(prepared, [torch.tensor(base.calibration["images"])])
    return dialect(prepared, onnx_from_model(prepared, (3, 16, 16)), "tensorrt")


@fault("digits ort-x86", "resnet18 static", seen="NVIDIA/TensorRT#1992")
def one_branch_of_an_add(base: Base) -> ModelProto:
    """The residual Add has Q/DQ on one branch only, so it and its neighbours run in float."""
    model = base.proto()
    for node in edits.nodes(model, "Add"):
        for place, name in enumerate(node.input):
            plain = edits.unquantized(model.graph, name)
            if plain != name and edits.producer(model.graph, plain).op_type == "Conv":
                node.input[place] = plain
                edits.unread_removed(model)
                return model
    raise LookupError("no Add with a quantized convolution branch")


@fault("digits tensorrt", "resnet18 tensorrt", seen="NVIDIA/TensorRT#1992")
def identity_branch_not_quantized(base: Base) -> ModelProto:
    """For TensorRT: the residual Add has lost Q/DQ on its identity branch."""
    model = base.proto()
    done = 0
    for node in edits.nodes(model, "Add"):
        for place, name in enumerate(node.input):
            plain = edits.unquantized(model.graph, name)
            if plain != name:
                node.input[place] = plain
                done += 1
    assert done
    edits.unread_removed(model)
    return model


@fault("digits ort-x86", "resnet18 tensorrt", "digits ort-arm64", seen="NVIDIA/TensorRT#1144")
def some_convolutions_in_float(base: Base) -> ModelProto:
    """Three convolutions have no Q/DQ at their input: they run in float, and nothing says so."""
    model = base.proto()
    layers = edits.nodes(model, "Conv")
    for node in layers[1 :: max(1, len(layers) // 3)]:
        node.input[0] = edits.unquantized(model.graph, node.input[0])
    edits.unread_removed(model)
    return model


@fault("digits ort-x86", "digits tensorrt", "mobilenet_v2 static", exports=True)
def no_quantization_left(base: Base) -> ModelProto:
    """The float model under the INT8 file's name."""
    assert base.whole is not None
    if base.prepared is None:
        return base.whole
    from edgestill.export import onnx_from_model

    return onnx_from_model(base.network_copy(), (3, 16, 16))


@fault("digits ort-x86", "digits ort-arm64")
def weights_alone_quantized(base: Base) -> ModelProto:
    """Only the weights are int8: a small file, computed in float."""
    model = base.proto()
    for node in list(model.graph.node):
        for place, name in enumerate(node.input):
            node.input[place] = edits.unquantized(model.graph, name)
    for value in model.graph.output:
        plain = edits.unquantized(model.graph, value.name)
        if plain != value.name:
            node = edits.producer(model.graph, value.name)
            model.graph.node.remove(node)
            edits.producer(model.graph, plain).output[0] = value.name
    edits.unread_removed(model)
    return model


@fault("digits tensorrt", seen="onnx/onnx-tensorrt#886")
def unsigned_for_tensorrt(base: Base) -> ModelProto:
    """ONNX Runtime's form, uint8, given to TensorRT, which rejects it."""
    return base.others["ort-x86"]


@fault("digits tensorrt", seen="NVIDIA/TensorRT#2774")
def zero_point_for_tensorrt(base: Base) -> ModelProto:
    """int8 with zero point -128 after ReLU; TensorRT takes 0 only."""
    return base.others["ort-arm64"]


@fault("digits ort-x86", seen="microsoft/onnxruntime#20052")
def tensorrts_form_for_x86(base: Base) -> ModelProto:
    """TensorRT's form given to ONNX Runtime: right numbers, and half of the layers in float."""
    return base.others["tensorrt"]


@fault("digits ort-x86")
def bias_on_another_scale(base: Base) -> ModelProto:
    """An int32 bias has twice the scale of input times weight."""
    model = base.proto()
    for node in edits.nodes(model, "Conv"):
        bias = edits.dequantized(model.graph, node.input[2])
        if bias is not None:
            edits.put(model.graph, bias.input[1], 2 * edits.array(model.graph, bias.input[1]))
            return model
    raise LookupError("no quantized bias")


@fault("digits ort-x86")
def zero_point_off(base: Base) -> ModelProto:
    """The input's zero point is 120 where it was 128: every image is a little brighter."""
    model = base.proto()
    graph = model.graph
    first = edits.consumers(graph, graph.input[0].name)[0]
    chain = [first, *edits.consumers(graph, first.output[0])]
    quantize = next(n for n in chain if n.op_type == "QuantizeLinear")
    zero = edits.array(graph, quantize.input[2])
    edits.put(graph, "zero_off", (zero - zero.dtype.type(8)).astype(zero.dtype))
    quantize.input[2] = "zero_off"
    return model


@fault("resnet18 static", "resnet18 tensorrt")
def scales_along_another_axis(base: Base) -> ModelProto:
    """A square layer's scales run along its input channels."""
    model = base.proto()
    for node in edits.nodes(model, "Conv"):
        source = edits.dequantized(model.graph, node.input[1])
        if source is None:
            continue
        shape = edits.array(model.graph, source.input[0]).shape
        if shape[0] == shape[1]:
            edits.set_attribute(source, "axis", 1)
            return model
    raise LookupError("no square quantized convolution")


@fault("resnet18 tensorrt")
def classifier_on_the_wrong_scale(base: Base) -> ModelProto:
    """The last layer's weights are dequantized with half of their scale: all logits are halved."""
    model = base.proto()
    last = edits.nodes(model, "Gemm")[-1]
    source = edits.dequantized(model.graph, last.input[1])
    assert source is not None
    edits.put(model.graph, "halved", edits.array(model.graph, source.input[1]) / 2)
    source.input[1] = "halved"
    return model


@fault("digits ort-x86")
def quantized_twice(base: Base) -> ModelProto:
    """The logits go through a second, coarser Q/DQ pair: a file that was quantized twice."""
    model = base.proto()
    graph = model.graph
    name = graph.output[0].name
    edits.put(graph, "step", np.array(0.5, np.float32))
    edits.put(graph, "zero", np.array(128, np.uint8))
    edits.between(model, name, "DequantizeLinear", "step", "zero")
    made = edits.producer(graph, name)
    inner = made.input[0]
    place = list(graph.node).index(made)
    graph.node.insert(
        place, helper.make_node("QuantizeLinear", [inner, "step", "zero"], ["codes"], "again")
    )
    made.input[0] = "codes"
    return model


def _ranges(base: Base) -> Ranges:
    from edgestill.models.ranges import ranges_of

    assert base.prepared is not None
    return ranges_of(base.prepared)


def _dialect(base: Base, ranges: Ranges) -> ModelProto:
    from edgestill.export import write_dialect

    assert base.whole is not None
    assert base.target is not None
    return write_dialect(base.whole, ranges, base.target)


def _with_range(base: Base, number: int, factor: float) -> ModelProto:
    """The file with one point's range multiplied; the point is one that the target quantizes."""
    from edgestill.models.fake_quant import points_of

    assert base.prepared is not None
    ranges = _ranges(base)
    points = (point for point in points_of(base.prepared) if point.tensorrt)
    name = [point.point for point in points][number]
    kept = ranges.activations[name]
    changed = {**ranges.activations, name: replace(kept, amax=kept.amax * factor)}
    return _dialect(base, replace(ranges, activations=changed))
