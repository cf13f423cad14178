"""Files of single blocks: what an export of such a network would hold, the same bytes each time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from functools import cache, reduce
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto
from torch import Tensor, nn

from edgestill.export.block_files import block_file
from edgestill.export.dialects import write_dialect
from edgestill.export.fusion import fusion_report
from edgestill.export.runtime import open_session
from edgestill.export.single_block import Block, Chain, Timed
from edgestill.export.targets import TARGETS
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import Ranges, ranges_of

WIDE: dict[str, int] = {"in_channels": 16, "out_channels": 16, "size": 8}
BLOCKS = {
    "conv3x3": Block(kind="conv3x3", count=3, **WIDE),
    "stem": Block(kind="conv3x3", in_channels=3, out_channels=16, size=8),
    "conv3x3 stride 2": Block(kind="conv3x3", in_channels=16, out_channels=32, size=9, stride=2),
    "conv1x1": Block(kind="conv1x1", count=2, **WIDE),
    "conv1x1 stride 2": Block(kind="conv1x1", in_channels=16, out_channels=32, size=8, stride=2),
    "depthwise3x3": Block(kind="depthwise3x3", count=2, **WIDE),
    "conv3x3_add": Block(kind="conv3x3_add", count=2, **WIDE),
    "conv1x1_add": Block(kind="conv1x1_add", count=2, **WIDE),
    "expand1x1": Block(kind="expand1x1", in_channels=16, out_channels=32, size=8, count=2),
    "conv7x7": Block(kind="conv7x7", in_channels=3, out_channels=16, size=16, stride=2),
    "max_pool": Block(kind="max_pool", stride=2, **WIDE),
    "global_pool": Block(kind="global_pool", **WIDE),
    "linear": Block(kind="linear", in_channels=16, out_channels=16, size=1, count=3),
    "identity": Block(kind="identity", **WIDE),
}
HELD_LAYERS = {
    "linear": "Gemm",
    "global_pool": "GlobalAveragePool",
    "max_pool": "MaxPool",
    "identity": "Identity",
}


class Residual(nn.Module):
    """Convolution and a sum with its input."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.conv(images) + images
        return out


def in_torch(block: Block) -> nn.Module:
    """The network that the block's file stands for."""
    made = nn.Sequential(*(layer for _ in range(block.count) for layer in layers_of(block)))
    return made[:-1] if block.kind == "linear" else made


def layers_of(block: Block) -> list[nn.Module]:
    """Those of a block that stands once."""
    into, out, window = block.in_channels, block.out_channels, block.kernel
    if block.kind == "linear":
        return [nn.Linear(into, out), nn.ReLU()]
    if block.kind == "max_pool":
        return [nn.MaxPool2d(window, block.stride, window // 2)]
    if block.kind == "expand1x1":
        return [nn.Conv2d(into, out, 1), nn.ReLU6(), nn.Conv2d(out, into, 1)]
    if block.kind.endswith("_add"):
        return [Residual(into, window), nn.ReLU()][: 2 if window == 3 else 1]
    conv = nn.Conv2d(into, out, window, block.stride, window // 2, groups=block.groups)
    return [conv, nn.ReLU6() if block.kind == "depthwise3x3" else nn.ReLU()]


@cache
def marked(name: str) -> tuple[ModelProto, Ranges]:
    """The block's network in 8 bits, as it is exported before a dialect is chosen."""
    block = BLOCKS[name]
    prepared = prepare(fold_batch_norm(in_torch(block).eval()))
    calibrate(prepared, [torch.randn(2, *shape_of(block))])
    return onnx_from_model(prepared, shape_of(block)), ranges_of(prepared)


def held(block: Block) -> int:
    """How many layers the block's file has: one to expand and one back are two."""
    return block.count * (2 if block.kind == "expand1x1" else 1)


def shape_of(block: Block) -> tuple[int, ...]:
    return (block.in_channels, *([] if block.kind == "linear" else [block.size] * 2))


def wiring(model: ModelProto) -> list[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Each node's operator, what its inputs come from, and its attributes that are no default."""
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    known = {
        tensor.name: TensorProto.DataType.Name(tensor.data_type)
        for tensor in model.graph.initializer
    }
    found = []
    for node in model.graph.node:
        sources = tuple(made_by.get(name) or known.get(name, "images") for name in node.input)
        values = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        plain = {"auto_pad": b"NOTSET", "alpha": 1.0, "beta": 1.0, "transA": 0}
        plain |= {"dilations": [1, 1], "ceil_mode": 0, "storage_order": 0}
        kept = {name: value for name, value in values.items() if plain.get(name) != value}
        found.append((node.op_type, sources, kept))
    return found


@pytest.mark.parametrize("dialect", [None, *TARGETS])
@pytest.mark.parametrize(
    "name", [name for name in BLOCKS if name not in ("global_pool", "identity", "stem")]
)
def test_a_file_holds_what_an_export_of_that_network_holds(name: str, dialect: str | None) -> None:
    block = BLOCKS[name]
    if dialect is not None and block.kind == "max_pool":
        pytest.skip("a network of a pooling alone has nothing to quantize")
    if dialect is None:
        exported = onnx_from_model(in_torch(block).eval(), shape_of(block))
    else:
        exported = write_dialect(*marked(name), dialect)

    written = wiring(onnx.load_from_string(block_file(block, dialect=dialect)))

    # The output of a convolution is quantized, as if another one followed.
    edge = 2 if dialect is not None and block.kind != "linear" else 0
    assert written[: len(written) - edge] == wiring(exported)
    ends = [operator for operator, _, _ in written[len(written) - edge :]]
    assert ends == ["QuantizeLinear", "DequantizeLinear"][:edge]


@pytest.mark.parametrize("dialect", [None, *TARGETS])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_file_is_sound_and_holds_the_block_as_often_as_it_says(
    name: str, dialect: str | None
) -> None:
    block = BLOCKS[name]
    model = onnx.load_from_string(block_file(block, dialect=dialect))

    onnx.checker.check_model(model, full_check=True)
    operators = Counter(node.op_type for node in model.graph.node)
    assert operators[HELD_LAYERS.get(block.kind, "Conv")] == held(block)
    assert (operators["DequantizeLinear"] > 0) == (dialect is not None)


@pytest.mark.parametrize("name", BLOCKS)
def test_the_int8_file_computes_what_the_float_file_does(name: str, tmp_path: Path) -> None:
    block = BLOCKS[name]
    # Small enough for a row with additions, in which numbers grow, not to be clipped.
    images = np.abs(np.random.default_rng(1).normal(0, 0.5, (4, *shape_of(block))))
    outputs = []
    for dialect in (None, "ort-x86"):
        path = tmp_path / f"{dialect}.onnx"
        path.write_bytes(block_file(block, dialect=dialect))
        (output,) = open_session(path).run(None, {"images": images.astype(np.float32)})
        outputs.append(output)

    whole, rounded = outputs
    assert whole.std() > 0.01
    # 8 bits leave 0.9934 of a pooling, whose numbers differ by few codes, and 0.999 of the others.
    # Wrong steps or a wrong wiring give far less.
    assert np.corrcoef(whole.ravel(), rounded.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("name", [name for name in BLOCKS if name != "identity"])
def test_onnx_runtime_computes_every_layer_of_an_int8_file_in_integers(
    name: str, tmp_path: Path
) -> None:
    block, path = BLOCKS[name], tmp_path / "block.onnx"
    path.write_bytes(block_file(block, dialect="ort-x86"))

    fusion = fusion_report(path, "ort-x86")

    layers = 0 if block.kind in ("global_pool", "max_pool") else held(block)
    assert (fusion.int8, fusion.total) == (layers, layers)


NETWORK = Chain(
    name="network",
    blocks=(
        Block(kind="conv3x3", in_channels=3, out_channels=16, size=16),
        Block(kind="conv3x3_add", in_channels=16, out_channels=16, size=16, count=2),
        Block(kind="conv1x1", in_channels=16, out_channels=48, size=16),
        Block(kind="depthwise3x3", in_channels=48, out_channels=48, size=16, stride=2),
        Block(kind="conv1x1", in_channels=48, out_channels=24, size=8),
        Block(kind="expand1x1", in_channels=24, out_channels=48, size=8, count=2),
        Block(kind="global_pool", in_channels=24, out_channels=24, size=8),
        Block(kind="linear", in_channels=24, out_channels=10, size=1),
    ),
)
CONVOLUTIONS = 10


@pytest.mark.parametrize("dialect", [None, *TARGETS])
def test_a_chain_is_a_whole_network(dialect: str | None, tmp_path: Path) -> None:
    path = tmp_path / "chain.onnx"
    path.write_bytes(block_file(NETWORK, dialect=dialect))

    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    operators = Counter(node.op_type for node in model.graph.node)
    assert operators["Conv"] == CONVOLUTIONS
    images = np.random.default_rng(0).normal(0, 1, (2, 3, 16, 16)).astype(np.float32)
    (logits,) = open_session(path).run(None, {"images": images})
    assert logits.shape == (2, 10) and logits.std() > 0


def test_the_float_chain_computes_its_blocks_one_after_the_other(tmp_path: Path) -> None:
    # Only the first has weights: each file draws its own from the same seed.
    blocks = (
        Block(kind="conv3x3", in_channels=3, out_channels=16, size=16),
        Block(kind="max_pool", in_channels=16, out_channels=16, size=16, stride=2),
        Block(kind="global_pool", in_channels=16, out_channels=16, size=8),
    )
    images = np.random.default_rng(0).normal(0, 1, (2, 3, 16, 16)).astype(np.float32)

    def through(timed: Timed, value: Any) -> Any:
        path = tmp_path / f"{timed.name}.onnx"
        path.write_bytes(block_file(timed))
        return open_session(path).run(None, {"images": value})[0]

    one_by_one = reduce(lambda value, block: through(block, value), blocks, images)
    np.testing.assert_allclose(
        through(Chain(name="whole", blocks=blocks), images), one_by_one, rtol=1e-5
    )


def test_onnx_runtime_computes_every_layer_of_an_int8_chain_in_integers(tmp_path: Path) -> None:
    path = tmp_path / "chain.onnx"
    path.write_bytes(block_file(NETWORK, dialect="ort-x86"))

    fusion = fusion_report(path, "ort-x86")

    assert (fusion.int8, fusion.total) == (CONVOLUTIONS + 1, CONVOLUTIONS + 1)


def test_another_process_writes_the_same_bytes() -> None:
    code = (
        "from edgestill.export.block_files import block_file\n"
        "from edgestill.export.single_block import Block\n"
        "import hashlib\n"
        f"block = {BLOCKS['conv3x3_add']!r}\n"
        "for dialect in (None, 'ort-arm64', 'tensorrt'):\n"
        "    print(hashlib.sha256(block_file(block, dialect=dialect)).hexdigest())"
    )
    there = subprocess.check_output([sys.executable, "-c", code], text=True).split()

    here = [
        hashlib.sha256(block_file(BLOCKS["conv3x3_add"], dialect=dialect)).hexdigest()
        for dialect in (None, "ort-arm64", "tensorrt")
    ]
    assert there == here
    assert len(set(here)) == 3
