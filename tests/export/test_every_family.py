"""Every family goes the whole way: it trains, names its blocks, folds, quantizes and leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edgestill.export.dialects import write_dialect
from edgestill.export.fusion import fusion_report
from edgestill.export.runtime import infer, open_session
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.branches import merge_branches
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.families import FAMILIES, Spec, spec_from_json, spec_to_json
from edgestill.models.fold import fold_batch_norm
from edgestill.models.mobilenetv2 import MobileNetV2
from edgestill.models.ranges import ranges_of
from edgestill.models.repvgg import RepVGG
from edgestill.models.resnet import ResNet
from edgestill.models.student import build
from edgestill.models.taps import Tapped
from edgestill.models.wideresnet import WideResNet

SIZE = 32
SPECS: dict[str, Spec] = {
    "wideresnet": WideResNet(blocks=(1, 1, 1), widths=(8, 8, 16), image_size=SIZE),
    "resnet": ResNet(blocks=(1, 1, 2, 1), widths=(8, 8, 16, 24), image_size=SIZE),
    "mobilenetv2": MobileNetV2(
        widths=(8, 8, 8, 16, 16, 24, 32),
        repeats=(1, 2, 1, 1, 2, 1, 1),
        stem=8,
        head=64,
        expansion=3,
    ),
    "repvgg": RepVGG(blocks=(1, 2, 1, 1), widths=(8, 16, 16, 24), stem=8, image_size=SIZE),
}


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def trained(family: str, images: torch.Tensor) -> torch.nn.Module:
    """After some steps, so that statistics and biases are not those of the start."""
    network = build(SPECS[family], seed=0).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), torch.arange(8))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network


def test_every_family_is_here() -> None:
    assert SPECS.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", SPECS)
def test_a_spec_goes_to_json_and_back(family: str) -> None:
    assert spec_from_json(spec_to_json(SPECS[family])) == SPECS[family]


@pytest.mark.parametrize("family", SPECS)
def test_every_parameter_gets_a_gradient_and_the_blocks_are_three(
    family: str, images: torch.Tensor
) -> None:
    network = build(SPECS[family], seed=0).train()

    logits, features = Tapped(network, network.blocks)(images)  # type: ignore[arg-type]
    (torch.nn.functional.cross_entropy(logits, torch.arange(8)) + features[0].mean()).backward()

    assert len(features) == 3
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("family", SPECS)
def test_folding_keeps_the_logits_and_leaves_no_batch_norm(
    family: str, images: torch.Tensor
) -> None:
    network = trained(family, images).eval()

    folded = fold_batch_norm(network)

    # float32 rounding, relative to the largest logit; largest seen 1e-6
    scale = network(images).abs().max().item()
    torch.testing.assert_close(folded(images), network(images), rtol=0, atol=2e-5 * max(1.0, scale))
    assert not [m for m in folded.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_repvgg_runs_as_a_plain_stack_of_convolutions(images: torch.Tensor) -> None:
    network = trained("repvgg", images).eval()

    merged = merge_branches(network)

    kinds = {type(m) for m in merged.modules() if not list(m.children())}
    assert kinds == {
        torch.nn.Conv2d,
        torch.nn.ReLU,
        torch.nn.AdaptiveAvgPool2d,
        torch.nn.Flatten,
        torch.nn.Linear,
    }
    torch.testing.assert_close(merged(images), network(images), rtol=0, atol=2e-5)


@pytest.mark.parametrize("family", SPECS)
def test_it_leaves_for_onnx_runtime_in_integers(
    family: str, images: torch.Tensor, tmp_path: Path
) -> None:
    prepared = prepare(fold_batch_norm(trained(family, images).eval()))
    calibrate(prepared, [images])
    path = tmp_path / "model.onnx"
    onnx.save(
        write_dialect(
            onnx_from_model(prepared.eval(), (3, SIZE, SIZE)), ranges_of(prepared), "ort-x86"
        ),
        path,
    )

    fusion = fusion_report(path, "ort-x86")
    found = infer(open_session(path), images.numpy())

    assert fusion.int8 == fusion.total > 5
    with torch.no_grad():
        expected = prepared(images).numpy()
    # A code near a tie may fall to either side; see test_dialect_numbers for the bound.
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
