"""Features by module path, and finding the paths in networks that do not name them."""

from __future__ import annotations

import copy
from typing import cast

import pytest
import torch
from torch import Tensor, fx, nn

from edgestill.models.errors import BadInput
from edgestill.models.student import build
from edgestill.models.taps import Tapped, find_blocks
from edgestill.models.wideresnet import WideResNet


@pytest.fixture
def network() -> nn.Module:
    return build(WideResNet(blocks=(1, 1, 1), widths=(4, 4, 8), image_size=8), seed=0).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network_of_others(name: str) -> nn.Module:
    library, _, architecture = name.partition(":")
    if library == "timm":
        return cast(nn.Module, pytest.importorskip("timm").create_model(architecture))
    torchvision = pytest.importorskip("torchvision")
    untouched = {"init_weights": False} if architecture.startswith("vgg") else {}
    return cast(nn.Module, torchvision.models.get_model(architecture, weights=None, **untouched))


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
    ("name", "size", "blocks"),
    [
        # the last block of each stage, and the pool instead of the last maps
        ("torchvision:resnet18", 64, ("layer2", "layer3", "avgpool")),
        ("torchvision:resnet18", 32, ("layer2", "layer3", "avgpool")),  # layer4 is 1x1 already
        ("torchvision:convnext_tiny", 64, ("features.3", "features.5", "avgpool")),
        ("timm:resnet26d", 64, ("layer2", "layer3", "global_pool.pool")),
        ("timm:regnetx_002", 64, ("s2", "s3", "head.global_pool.pool")),
        # the last block of each resolution; version 2 pools without a module
        ("torchvision:mobilenet_v2", 64, ("features.6", "features.13", "features")),
        ("torchvision:mobilenet_v3_small", 64, ("features.3", "features.8", "avgpool")),
        ("torchvision:efficientnet_b0", 64, ("features.3", "features.5", "avgpool")),
        ("timm:mobilenetv3_small_050", 96, ("blocks.1", "blocks.3", "global_pool.pool")),
        # the ReLU before each downsampling
        ("torchvision:alexnet", 96, ("features.1", "features.4", "avgpool")),
        ("torchvision:vgg11_bn", 32, ("features.13", "features.20", "avgpool")),
        # the classifier is a convolution, and its maps are pooled to the logits
        ("torchvision:squeezenet1_1", 64, ("features.4", "features.7", "features")),
    ],
)
def test_the_blocks_of_other_networks_end_their_resolutions(
    name: str, size: int, blocks: tuple[str, ...]
) -> None:
    network = network_of_others(name).train()
    images = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))

    found = find_blocks(network, images, 3)

    assert found == blocks
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    assert len(Tapped(network.eval(), found)(images)[1]) == 3


def test_a_stage_counts_before_the_stem_of_its_resolution() -> None:
    def stage(width_in: int, width: int, stride: int) -> nn.Module:
        first = nn.Conv2d(width_in, width, 3, stride=stride, padding=1)
        return nn.Sequential(first, nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU())

    network = nn.Sequential()
    network.add_module("stem", nn.Conv2d(3, 4, 3, padding=1))
    stages = nn.Sequential(stage(4, 4, 1), stage(4, 8, 2), stage(8, 8, 2))
    network.add_module("stages", stages)
    network.add_module("head", nn.Sequential(nn.Flatten(), nn.Linear(8 * 2 * 2, 10)))

    found = find_blocks(network, torch.zeros(1, 3, 8, 8), 3)

    assert found == ("stages.0", "stages.1", "stages")


def test_a_stack_that_pools_within_its_blocks_gives_what_is_pooled() -> None:
    def block(width_in: int, width: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(width_in, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))

    tail = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    network = nn.Sequential(block(3, 4), block(4, 8), block(8, 16), *tail)

    assert find_blocks(network, torch.zeros(1, 3, 16, 16), 3) == ("0.1", "1.1", "3")


@pytest.mark.parametrize(
    ("name", "size"), [("torchvision:swin_t", 64), ("timm:vit_tiny_patch16_224", 224)]
)
def test_a_transformer_is_refused_with_how_to_name_its_blocks(name: str, size: int) -> None:
    network = network_of_others(name)

    with pytest.raises(BadInput, match=r"name the modules .* blocks = \[3 module paths"):
        find_blocks(network, torch.zeros(1, 3, size, size), 3)


def test_asking_for_more_blocks_than_there_are_is_refused(
    network: nn.Module, images: Tensor
) -> None:
    with pytest.raises(BadInput, match="asked for 4 blocks to distill, the network has 3"):
        find_blocks(network, images, 4)
