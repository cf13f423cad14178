"""Networks of torchvision and timm fold exactly, and all their layers train with rounding.

Weights are random and the images small: what is tested is the networks' structure. A table of many
more is printed by `benchmarks/zoo.py`.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgestill.models.fake_quant import calibrate, prepare, report
from edgestill.models.fold import fold_batch_norm

LAYERS = (nn.Conv2d, nn.Linear)

# name -> how many modules stay float, and why
ZOO: dict[str, tuple[int, str]] = {
    "torchvision:resnet18": (0, ""),
    "torchvision:resnet50": (0, ""),
    "torchvision:mobilenet_v2": (0, ""),
    "torchvision:mobilenet_v3_small": (0, ""),
    "torchvision:mobilenet_v3_large": (0, ""),
    "torchvision:efficientnet_b0": (0, ""),
    "torchvision:regnet_x_400mf": (0, ""),
    "torchvision:regnet_y_400mf": (0, ""),
    "torchvision:mnasnet0_5": (0, ""),
    "torchvision:mnasnet1_0": (0, ""),
    "torchvision:shufflenet_v2_x0_5": (0, ""),
    "torchvision:squeezenet1_0": (0, ""),
    "torchvision:densenet121": (62, "which is no convolution or linear layer"),
    "timm:resnet18": (0, ""),
    "timm:efficientnet_lite0": (0, ""),
    "timm:tf_efficientnet_lite0": (0, ""),
    "timm:mobilenetv3_small_050": (0, ""),
    "timm:mobilenetv2_035": (0, ""),
    "timm:regnetx_002": (0, ""),
    "timm:ghostnet_050": (0, ""),
    "timm:cspresnet50": (0, ""),
    "timm:fbnetc_100": (0, ""),
    "timm:repvgg_a0": (17, "which is no convolution or linear layer"),
    "timm:mixnet_s": (34, "which is no convolution or linear layer"),
    "timm:convnext_atto": (17, "a normalization in the forward"),
}


def build(name: str) -> nn.Module:
    """The network with BatchNorms that are not the identity, in eval mode."""
    source, _, model = name.partition(":")
    torch.manual_seed(0)
    if source == "timm":
        timm = pytest.importorskip("timm", reason="timm is not installed")
        made: nn.Module = timm.create_model(model, pretrained=False, num_classes=10)
    else:
        from torchvision.models import get_model

        made = get_model(model, weights=None, num_classes=10)
    for module in made.modules():
        if isinstance(module, _BatchNorm):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return made.eval()


def images() -> Tensor:
    return torch.randn((2, 3, 32, 32), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ZOO)
def test_a_network_of_others_can_be_quantized(name: str) -> None:
    model = build(name)
    layers, expected = called_layers(model)
    kept, reason = ZOO[name]

    folded = fold_batch_norm(model)

    # Float32 rounding through up to 124 layers; 7e-6 of the largest logit is the most seen.
    bound = 2e-5 * float(expected.abs().max())
    torch.testing.assert_close(folded(images()), expected, rtol=0, atol=bound)
    prepared = prepare(folded)
    found = report(prepared)
    assert (found["quantized"], len(found["float"]), found["untraced"]) == (layers, kept, [])
    assert all(reason in line for line in found["float"])
    norms = [module for module in prepared.modules() if isinstance(module, _BatchNorm)]
    assert len(norms) == sum("BatchNorm" in line for line in found["float"])
    calibrate(prepared, [images()], method="minmax")
    prepared.train()(images()).square().sum().backward()
    assert [path for path, weight in prepared.named_parameters() if weight.grad is None] == []
    again = prepare(folded)
    again.load_state_dict(prepared.state_dict())
    assert torch.equal(again(images()), prepared.eval()(images()))


def called_layers(model: nn.Module) -> tuple[int, Tensor]:
    """The number of layers that one forward calls (no auxiliary heads), and its logits."""
    seen: set[nn.Module] = set()

    def note(layer: nn.Module, *_: object) -> None:
        seen.add(layer)

    layers = [module for module in model.modules() if isinstance(module, LAYERS)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with torch.no_grad():
        logits: Tensor = model(images())
    for hook in hooks:
        hook.remove()
    return len(seen), logits
