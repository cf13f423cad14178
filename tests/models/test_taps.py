"""Features by module path, and finding the paths in networks that do not name them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, fx, nn

from edgestill.models.errors import BadInput
from edgestill.models.student import build
from edgestill.models.taps import Tapped, find_blocks
from edgestill.models.wideresnet import WideResNet


@pytest.fixture
def network() -> nn.Module:
    return build(WideResNet(depth=10, widths=(4, 4, 8), image_size=8), seed=0).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_features_are_the_modules_outputs_and_carry_gradients(
    network: nn.Module, images: Tensor
) -> None:
    logits, (pooled, stem) = Tapped(network, ["pool", "stem"])(images)

    assert torch.equal(stem, network.get_submodule("stem")(images))
    assert torch.equal(network.get_submodule("fc")(pooled.flatten(1)), logits)
    pooled.sum().backward()
    assert network.get_parameter("stem.conv.weight").grad is not None


def test_a_deep_copy_catches_its_own_features(network: nn.Module, images: Tensor) -> None:
    tapped = Tapped(network, ["pool"])
    copied = copy.deepcopy(tapped)
    with torch.no_grad():
        copied.model.get_parameter("stage3.0.conv2.bn.bias").add_(1)

    original, changed = tapped(images)[1][0], copied(images)[1][0]

    assert torch.equal(original, Tapped(network, ["pool"])(images)[1][0])
    assert not torch.equal(original, changed)


def test_nothing_is_held_between_calls_or_caught_outside_them(
    network: nn.Module, images: Tensor
) -> None:
    tapped = Tapped(network, ["pool"])

    tapped(images)
    network(images)

    assert tapped._shelf.outputs is None


def test_closing_takes_the_hooks_off(network: nn.Module) -> None:
    tapped = Tapped(network, ["pool", "stem"])

    tapped.close()

    assert not any(module._forward_hooks for module in network.modules())


def test_a_compiled_network_gives_the_same_features(network: nn.Module, images: Tensor) -> None:
    tapped = Tapped(network, ["stage1", "pool"])
    logits, features = tapped(images)

    compiled = torch.compile(tapped, backend="eager", fullgraph=True)
    again, features_again = compiled(images)

    assert torch.equal(again, logits)
    assert all(map(torch.equal, features_again, features))


def test_block_paths_of_our_networks_hold_in_their_traced_graph(
    network: nn.Module, images: Tensor
) -> None:
    blocks = find_blocks(network, images, 3)

    traced = Tapped(fx.symbolic_trace(network), blocks)(images)[1]

    assert all(map(torch.equal, traced, Tapped(network, blocks)(images)[1]))


def test_a_module_that_is_never_called_is_named(network: nn.Module, images: Tensor) -> None:
    tapped = Tapped(fx.symbolic_trace(network), ["stage1"])

    with pytest.raises(BadInput, match="does not call the module 'stage1'"):
        tapped(images)


def test_a_wrong_path_is_answered_with_near_ones(network: nn.Module) -> None:
    with pytest.raises(BadInput, match=r"no module 'stage9'; near: stage"):
        Tapped(network, ["stage9"])


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("resnet18", ("layer2", "layer3", "avgpool")),
        ("mobilenet_v2", ("features.6", "features.13", "features")),
        ("mobilenet_v3_small", ("features.3", "features.8", "avgpool")),
    ],
)
def test_other_networks_blocks_are_the_outermost_outputs_at_each_resolution(
    name: str, blocks: tuple[str, ...]
) -> None:
    torchvision = pytest.importorskip("torchvision")
    network = torchvision.models.get_model(name, weights=None).train()

    found = find_blocks(network, torch.zeros(1, 3, 64, 64), 3)

    assert found == blocks
    assert network.training
    assert len(Tapped(network.eval(), found)(torch.zeros(1, 3, 64, 64))[1]) == 3


def test_asking_for_more_blocks_than_there_are_is_refused(
    network: nn.Module, images: Tensor
) -> None:
    with pytest.raises(BadInput, match="asked for 4 blocks to distill, the network has 3"):
        find_blocks(network, images, 4)
