"""What every exported file goes through: honest metadata, and a comparison that can fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.errors import GateFailed
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline.exporting import agrees, save_onnx

SHAPE = (3, 16, 16)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return build(WideResNet.scaled(depth=10, width=0.5, image_size=16), seed=0).eval()


@pytest.fixture(scope="module")
def exported(network: nn.Module) -> onnx.ModelProto:
    return onnx_from_model(network, SHAPE)


def test_a_true_export_agrees(
    network: nn.Module, exported: onnx.ModelProto, tmp_path: Path
) -> None:
    save_onnx(exported, tmp_path / "m.onnx", {})

    assert agrees(network, tmp_path / "m.onnx", SHAPE) < 1e-5


@pytest.mark.parametrize("spoil", [lambda w: w * 1.05, lambda w: w * np.nan], ids=["5 %", "NaN"])
def test_one_altered_weight_is_noticed(
    network: nn.Module, exported: onnx.ModelProto, tmp_path: Path, spoil: object
) -> None:
    wrong = onnx.ModelProto()
    wrong.CopyFrom(exported)
    weight = max(wrong.graph.initializer, key=lambda each: len(each.raw_data))
    altered = spoil(numpy_helper.to_array(weight))  # type: ignore[operator]
    weight.CopyFrom(numpy_helper.from_array(altered.astype(np.float32), weight.name))
    save_onnx(wrong, tmp_path / "m.onnx", {})

    with pytest.raises(GateFailed, match=r"m\.onnx does not compute what the network does"):
        agrees(network, tmp_path / "m.onnx", SHAPE)


def test_the_file_says_what_it_is_and_is_the_same_twice(
    exported: onnx.ModelProto, tmp_path: Path
) -> None:
    facts = {"target": "ort-x86", "classes": ["a", "b"], "mean": [0.5, 0.5, 0.5]}

    save_onnx(exported, tmp_path / "1.onnx", facts)
    save_onnx(exported, tmp_path / "2.onnx", dict(reversed(facts.items())))

    told = {each.key: each.value for each in onnx.load(tmp_path / "1.onnx").metadata_props}
    assert told == {
        "edgestill.target": "ort-x86",
        "edgestill.classes": '["a", "b"]',
        "edgestill.mean": "[0.5, 0.5, 0.5]",
    }
    assert (tmp_path / "1.onnx").read_bytes() == (tmp_path / "2.onnx").read_bytes()


def test_agreement_does_not_depend_on_the_mode_the_network_was_left_in(
    network: nn.Module, exported: onnx.ModelProto, tmp_path: Path
) -> None:
    save_onnx(exported, tmp_path / "m.onnx", {})

    assert agrees(network.train(), tmp_path / "m.onnx", SHAPE) < 1e-5
    assert torch.is_grad_enabled()
