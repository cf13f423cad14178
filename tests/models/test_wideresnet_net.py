"""The WideResNet network: shapes, tracing, folding, initialisation."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgestill.models.blocks import BasicBlock, ConvBN
from edgestill.models.student import build
from edgestill.models.taps import Tapped
from edgestill.models.wideresnet import WideResNet


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_blocks_are_the_last_relu_of_two_stages_and_the_pool(images: torch.Tensor) -> None:
    spec = WideResNet(blocks=(2, 2, 2), widths=(4, 6, 10), num_classes=7, image_size=16)
    network = build(spec, seed=0)

    logits, features = Tapped(network, network.blocks)(images)  # type: ignore[arg-type]

    assert logits.shape == (2, 7)
    assert [tuple(f.shape) for f in features] == [(2, 4, 16, 16), (2, 6, 8, 8), (2, 10, 1, 1)]
    assert all((f >= 0).all() for f in features)


def test_a_traced_network_computes_the_same_and_keeps_the_block_paths(images: torch.Tensor) -> None:
    network = build(WideResNet(blocks=(1, 1, 1), widths=(4, 4, 8), image_size=16), seed=0).eval()

    traced = fx.symbolic_trace(network)

    assert torch.equal(traced(images), network(images))
    called = [node.target for node in traced.graph.nodes if node.op == "call_module"]
    assert [called.count(path) for path in network.blocks] == [1, 1, 1]  # type: ignore[union-attr]


def test_every_batch_norm_folds_into_the_convolution_before_it(images: torch.Tensor) -> None:
    network = build(WideResNet(blocks=(1, 1, 1), widths=(4, 4, 8), image_size=16), seed=0)
    network(images)  # moves the running statistics away from zero and one
    expected = network.eval()(images)

    for module in list(network.modules()):
        if isinstance(module, ConvBN):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = nn.Identity()  # type: ignore[assignment]

    # float32 rounding over 10 layers; largest seen 2e-7
    torch.testing.assert_close(network(images), expected, rtol=0, atol=1e-5)


def test_the_shortcut_is_a_convolution_only_where_the_shape_changes() -> None:
    shapes = [(8, 8, 1), (8, 16, 1), (8, 8, 2)]

    kinds = [type(BasicBlock(a, b, stride=s).shortcut) for a, b, s in shapes]

    assert kinds == [nn.Identity, ConvBN, ConvBN]


def test_convolutions_start_normal_over_fan_out() -> None:
    network = build(WideResNet.scaled(depth=10, width=2), seed=0)

    weight = network.get_parameter("stage3.0.conv2.conv.weight")

    expected = (2 / (128 * 9)) ** 0.5
    # 147,456 weights: the sample deviation strays by 0.2 % (one sigma)
    assert weight.std().item() == pytest.approx(expected, rel=0.01)
