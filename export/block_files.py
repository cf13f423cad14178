"""Blocks of a network as an ONNX file of their own, to be timed; the same bytes each time.

A block is what stands between two quantization points in a network of ours: a convolution with its
ReLU, the same with a residual addition, a pooling, a linear layer. The INT8 file goes through the
writer of the exported networks (dialects.py), with ranges of a fixed width: the time of an integer
kernel does not depend on the numbers.

A block's time in a file is not its time in a network: ONNX Runtime also reorders or quantizes what
goes in and comes out, and every inference has a cost of its own. So a file may hold a block several
times in a row, and the `identity` holds nothing: what is between the two is the edges' share. A
file of a chain is a whole network, without branches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .markers import DOMAIN, OPERATOR
from .single_block import ADDING
from .tidy import tidy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto, NodeProto, TensorProto

    from ..models.ranges import ActivationRange, Ranges
    from .single_block import Block, Timed

OPSET = 18
IMAGE_CHANNELS = 3
WIDTH = 4.0
"""Standard deviations that a quantized activation spans; the weights keep its deviation near 1."""


def block_file(timed: Timed, *, dialect: str | None = None) -> bytes:
    """The ONNX file of a block or of a chain: `images` (N, C, H, W), or (N, C) where it begins with
    linear, to `logits`.

    `dialect`: one of TARGETS for INT8; None for float32.
    """
    from .dialects import write_dialect

    model, ranges = _graph_of(timed.blocks, marked=dialect is not None)
    written = model if dialect is None else write_dialect(model, ranges, dialect)
    content: bytes = written.SerializeToString(deterministic=True)
    return content


def _graph_of(blocks: Sequence[Block], *, marked: bool) -> tuple[ModelProto, Ranges]:
    """The float graph, with markers at its quantization points or without, and their ranges."""
    from onnx import TensorProto, helper

    first, last = blocks[0], blocks[-1]
    made = _Graph(marked)
    value = made.point("images", "images", signed=first.in_channels == IMAGE_CHANNELS)
    row = [block for block in blocks for _ in range(block.count)]
    for number, (before, block) in enumerate(zip((None, *row), row, strict=False)):
        if block.kind == "linear" and before is not None and before.kind == "global_pool":
            value = made.flat(value)
        value = made.add(block, value, number, last=number + 1 == len(row))
    made.nodes[-1].output[0] = "logits"
    into = [] if first.kind == "linear" else [first.size] * 2
    out = [] if last.kind == "linear" else [last.size_after] * 2
    images, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, *shape])
        for name, channels, shape in (
            ("images", first.in_channels, into),
            ("logits", last.channels_after, out),
        )
    )
    graph = helper.make_graph(made.nodes, "block", [images], [logits], made.weights)
    versions = {"": OPSET} | ({DOMAIN: 1} if marked else {})
    opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    model = helper.make_model(graph, opset_imports=opsets)
    tidy(model)
    return model, made.ranges()


class _Graph:
    """The nodes of a file, as the exporter would write them for such a network."""

    def __init__(self, marked: bool) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self._marked = marked
        self._chance = np.random.default_rng(0)
        self._activations: dict[str, ActivationRange] = {}
        self._steps: dict[str, tuple[float, ...]] = {}

    def add(self, block: Block, value: str, number: int, *, last: bool) -> str:
        """The block once, behind `value`; gives what comes out. `number`: of its place, `last`:
        nothing follows."""
        if block.kind == "identity":
            return self._node("Identity", [value], "identity")
        if block.kind == "global_pool":
            pooled = self._node("GlobalAveragePool", [value], "pool")
            return self.point(pooled, "pooled", signed=False)
        if block.kind == "linear":
            shape = (block.out_channels, block.in_channels)
            product = self._layer("Gemm", value, f"linear{number}", shape, transB=1)
            if last:
                return product  # the logits of a network stay float
        elif block.kind == "max_pool":
            pooled = self._node("MaxPool", [value], f"pool{number}", **_window(block))
            return self.point(pooled, f"pooled{number}", signed=False)
        else:
            product = self._convolution(block, value, f"conv{number}")
        if block.kind == "depthwise3x3":
            return self._positive(product, number, most=6)
        if block.kind == "expand1x1":
            positive = self._positive(product, number, most=6)
            product = self._convolution(block, positive, f"back{number}", back=True)
            return self.point(product, f"signed{number}", signed=True)
        if block.kind in ADDING:
            product = self.point(product, f"product{number}", signed=True, tensorrt=False)
            product = self._node("Add", [product, value], f"sum{number}")
        if block.kind == "conv1x1_add":
            return self.point(product, f"signed{number}", signed=True)
        return self._positive(product, number)

    def flat(self, value: str) -> str:
        """`value` (N, C, 1, 1) as (N, C)."""
        return self._node("Flatten", [value], "flat", axis=1)

    def _positive(self, value: str, number: int, *, most: int | None = None) -> str:
        """`value` through a ReLU, or one that ends at `most`, behind a quantization point."""
        if most is None:
            positive = self._node("Relu", [value], f"relu{number}")
        else:
            ends = [self._constant(f"{end}.0", end) for end in (0, most)]
            positive = self._node("Clip", [value, *ends], f"relu{number}")
        return self.point(positive, f"positive{number}", signed=False)

    def _constant(self, name: str, value: float) -> str:
        from onnx import numpy_helper

        if all(known.name != name for known in self.weights):
            self.weights.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

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

    def _convolution(self, block: Block, value: str, path: str, *, back: bool = False) -> str:
        """`back`: from the block's `out_channels` to its `in_channels`."""
        ends = (block.in_channels, block.out_channels)
        into, out = reversed(ends) if back else ends
        shape = (out, into // block.groups, *[block.kernel] * 2)
        window = _window(block) | {"dilations": [1, 1], "group": block.groups}
        return self._layer("Conv", value, path, shape, **window)

    def _layer(
        self, operator: str, value: str, path: str, shape: tuple[int, ...], **attributes: Any
    ) -> str:
        """An operator with weights of `shape`, the output's channels first, and a bias."""
        from onnx import numpy_helper

        # He et al.: what is positive keeps its deviation, so a long row neither grows nor fades.
        deviation = (2 / np.prod(shape[1:])) ** 0.5
        weight = (deviation * self._chance.standard_normal(shape)).astype(np.float32)
        bias = (0.1 * self._chance.standard_normal(shape[0])).astype(np.float32)
        steps = np.abs(weight).reshape(shape[0], -1).max(axis=1) / np.float32(127)
        self._steps[path] = tuple(steps.tolist())
        names = [f"{path}.weight", f"{path}.bias"]
        for name, array in zip(names, (weight, bias), strict=True):
            self.weights.append(numpy_helper.from_array(array, name))
        return self._node(operator, [value, *names], path, **attributes)

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output


def _window(block: Block) -> dict[str, Any]:
    return {
        "kernel_shape": [block.kernel] * 2,
        "strides": [block.stride] * 2,
        "pads": [block.kernel // 2] * 4,
    }
