"""One block of a network as an ONNX file of its own, to be timed; the same bytes each time.

A block is what stands between two quantization points in a network of ours: a convolution with its
ReLU, the same with a residual addition, a pooling, a linear layer. The INT8 file goes through the
writer of the exported networks (dialects.py), with ranges of a fixed width: the time of an integer
kernel does not depend on the numbers.

A block's time in a file is not its time in a network: ONNX Runtime also reorders or quantizes what
goes in and comes out, and every inference has a cost of its own. So a file may hold a block several
times in a row, and the `identity` holds nothing: what is between the two is the edges' share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .markers import DOMAIN, OPERATOR
from .tidy import tidy

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

    from ..models.ranges import ActivationRange, Ranges
    from .single_block import Block

OPSET = 18
IMAGE_CHANNELS = 3
WIDTH = 4.0
"""Standard deviations that a quantized activation spans; the weights keep its deviation near 1."""


def block_file(block: Block, *, dialect: str | None = None) -> bytes:
    """The ONNX file of `block`: `images` (N, C, H, W), or (N, C) for linear, to `logits`.

    `dialect`: one of TARGETS for INT8; None for float32.
    """
    from .dialects import write_dialect

    model, ranges = _graph_of(block, marked=dialect is not None)
    written = model if dialect is None else write_dialect(model, ranges, dialect)
    content: bytes = written.SerializeToString(deterministic=True)
    return content


def _graph_of(block: Block, *, marked: bool) -> tuple[ModelProto, Ranges]:
    """The float graph, with markers at its quantization points or without, and their ranges."""
    from onnx import TensorProto, helper

    made = _Graph(block, marked)
    value = made.point("images", "images", signed=block.in_channels == IMAGE_CHANNELS)
    for number in range(block.count):
        value = made.add(value, number)
    made.nodes[-1].output[0] = "logits"
    sizes = [] if block.kind == "linear" else [block.size] * 2
    after = [1 if block.kind == "global_pool" else -(-size // block.stride) for size in sizes]
    images, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, *shape])
        for name, channels, shape in (
            ("images", block.in_channels, sizes),
            ("logits", block.out_channels, after),
        )
    )
    graph = helper.make_graph(made.nodes, "block", [images], [logits], made.weights)
    versions = {"": OPSET} | ({DOMAIN: 1} if marked else {})
    opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    model = helper.make_model(graph, opset_imports=opsets)
    tidy(model)
    return model, made.ranges()


class _Graph:
    """The nodes of a block's file, as the exporter would write them for such a network."""

    def __init__(self, block: Block, marked: bool) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self._block = block
        self._marked = marked
        self._chance = np.random.default_rng(0)
        self._activations: dict[str, ActivationRange] = {}
        self._steps: dict[str, tuple[float, ...]] = {}

    def add(self, value: str, number: int) -> str:
        """The block once more behind `value`; gives what comes out."""
        block, last = self._block, number + 1 == self._block.count
        if block.kind == "identity":
            return self._node("Identity", [value], "identity")
        if block.kind == "global_pool":
            pooled = self._node("GlobalAveragePool", [value], "pool")
            return self.point(pooled, "pooled", signed=False)
        if block.kind == "linear":
            product = self._layer("Gemm", value, f"linear{number}", transB=1)
            if last:
                return product  # the logits of a network stay float
        else:
            product = self._convolution(value, f"conv{number}")
        if block.kind == "conv3x3_add":
            product = self.point(product, f"product{number}", signed=True, tensorrt=False)
            product = self._node("Add", [product, value], f"sum{number}")
        positive = self._node("Relu", [product], f"relu{number}")
        return self.point(positive, f"positive{number}", signed=False)

    def point(self, value: str, name: str, *, signed: bool, tensorrt: bool = True) -> str:
        """`value` behind a marker; the output has one too, for the block that would follow."""
        from ..models.ranges import ActivationRange

        if not self._marked:
            return value
        self._activations[name] = ActivationRange(amax=WIDTH, signed=signed)
        return self._node(
            OPERATOR, [value], f"{name}/marked", domain=DOMAIN, point=name, tensorrt=int(tensorrt)
        )

    def ranges(self) -> Ranges:
        from ..models.ranges import Ranges, WeightRange

        weights = {path: WeightRange(scales=steps) for path, steps in self._steps.items()}
        return Ranges(activations=self._activations, weights=weights)

    def _convolution(self, value: str, path: str) -> str:
        block, padding = self._block, self._block.kernel // 2
        return self._layer(
            "Conv",
            value,
            path,
            kernel_shape=[block.kernel] * 2,
            strides=[block.stride] * 2,
            pads=[padding] * 4,
            dilations=[1, 1],
            group=block.groups,
        )

    def _layer(self, operator: str, value: str, path: str, **attributes: Any) -> str:
        from onnx import numpy_helper

        block = self._block
        shape = [block.out_channels, block.in_channels // block.groups]
        shape += [block.kernel] * 2 if operator == "Conv" else []
        # He et al.: what is positive keeps its deviation, so a long row neither grows nor fades.
        deviation = (2 / np.prod(shape[1:])) ** 0.5
        weight = (deviation * self._chance.standard_normal(shape)).astype(np.float32)
        bias = (0.1 * self._chance.standard_normal(block.out_channels)).astype(np.float32)
        steps = np.abs(weight).reshape(block.out_channels, -1).max(axis=1) / np.float32(127)
        self._steps[path] = tuple(steps.tolist())
        names = [f"{path}.weight", f"{path}.bias"]
        for name, array in zip(names, (weight, bias), strict=True):
            self.weights.append(numpy_helper.from_array(array, name))
        return self._node(operator, [value, *names], path, **attributes)

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output
