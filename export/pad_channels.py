"""Q -> DQ -> Conv of 3 channels --> Q -> Pad -> DQ -> Conv of 4 channels, the new weights zero.

ONNX Runtime's direct integer convolution on x86-64 takes input channels by fours; with three the
first and largest image goes through a copy of every window. Padding 8-bit codes costs less: the
whole of MobileNetV2 at 224x224 runs 1.1 times as fast, an AMD EPYC with AVX512-VNNI, 1 thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .graph import attribute, constants, producers, readers, set_nodes
from .targets import X86_OUTPUT_CHANNELS

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto


def pad_channels(graph: GraphProto, multiple: int) -> int:
    """Fills up, in place, the channels of the quantized image; returns by how many.

    Nothing changes where the image is not read by quantized convolutions alone, or by one with so
    few output channels that the direct kernel does not take it.
    """
    from onnx import helper, numpy_helper

    made_by, read_by, known = producers(graph), readers(graph), constants(graph)
    images = {value.name for value in graph.input}
    for quantize in graph.node:
        if quantize.op_type != "QuantizeLinear" or quantize.input[0] not in images:
            continue
        codes = quantize.output[0]
        dequantizes = read_by[codes]
        layers = [node for each in dequantizes for node in read_by[each.output[0]]]
        weights = [made_by[node.input[1]] for node in layers if _fits(node, made_by, known)]
        if not layers or len(weights) < len(layers):
            return 0
        added = -numpy_helper.to_array(known[weights[0].input[0]]).shape[1] % multiple
        if not added:
            return 0
        for dequantize in weights:
            _widen(graph, dequantize, added)
        padded = f"{codes}_padded"
        counts = np.array([0, 0, 0, 0, 0, added, 0, 0])
        graph.initializer.append(numpy_helper.from_array(counts, f"{padded}.pads"))
        pad = helper.make_node(
            "Pad", [codes, f"{padded}.pads", quantize.input[2]], [padded], name=f"{padded}/pad"
        )
        for node in dequantizes:
            node.input[0] = padded
        nodes = list(graph.node)
        nodes.insert(nodes.index(quantize) + 1, pad)
        set_nodes(graph, nodes)
        return int(added)
    return 0


def _fits(node: NodeProto, made_by: dict[str, NodeProto], known: dict[str, TensorProto]) -> bool:
    """Whether the direct kernel takes `node` once its channels are filled up."""
    if node.op_type != "Conv" or attribute(node, "group", 1) != 1:
        return False
    weight = made_by.get(node.input[1])
    if weight is None or weight.op_type != "DequantizeLinear":
        return False
    shape = known[weight.input[0]].dims
    # AVX-512 takes multiples of 4, AVX2 and AVX-VNNI of 8.
    return len(shape) == 4 and shape[0] >= X86_OUTPUT_CHANNELS and shape[0] % 8 == 0


def _widen(graph: GraphProto, dequantize: NodeProto, added: int) -> None:
    """Gives the weight codes behind `dequantize` `added` input channels of zeros."""
    from onnx import numpy_helper

    codes = numpy_helper.to_array(constants(graph)[dequantize.input[0]])
    wide = np.pad(codes, ((0, 0), (0, added), (0, 0), (0, 0)))
    dequantize.input[0] = f"{dequantize.input[0]}_padded"
    graph.initializer.append(numpy_helper.from_array(wide, dequantize.input[0]))
