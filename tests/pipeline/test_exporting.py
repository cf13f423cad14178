"""What every exported file goes through: honest metadata, and a comparison that can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import fx, nn

from edgestill.export import divergence_torch
from edgestill.export.dialects import write_dialect
from edgestill.export.graph import copied
from edgestill.export.runtime import infer, open_session
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.errors import BadInput, GateFailed
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ranges_of
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline.data import open_data
from edgestill.pipeline.events import listening
from edgestill.pipeline.export_limits import FLOAT, HALF, INT8
from edgestill.pipeline.exporting import (
    Agreement,
    agreement,
    agrees,
    failed_name,
    held_out,
    int8_agreement,
)
from edgestill.pipeline.recipe import DataSettings

SHAPE = (3, 16, 16)


def spoiled(model: onnx.ModelProto, spoil: Any) -> tuple[onnx.ModelProto, str]:
    """A copy with its largest weight altered, and whose weight that is."""
    wrong = copied(model)
    weight = max(wrong.graph.initializer, key=lambda each: len(each.raw_data))
    altered = spoil(numpy_helper.to_array(weight))
    weight.CopyFrom(numpy_helper.from_array(altered, weight.name))
    return wrong, weight.name.split(".weight")[0]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return build(WideResNet.scaled(depth=10, width=0.5, image_size=16), seed=0).eval()


@pytest.fixture(scope="module")
def exported(network: nn.Module) -> onnx.ModelProto:
    return onnx_from_model(network, SHAPE)


def test_a_true_export_agrees(
    network: nn.Module, exported: onnx.ModelProto, tmp_path: Path
) -> None:
    onnx.save(exported, tmp_path / "m.onnx")

    assert agrees(network, tmp_path / "m.onnx", SHAPE) < 1e-5


@pytest.mark.parametrize(
    "spoil", [lambda w: w * np.float32(1.05), lambda w: w * np.float32(np.nan)], ids=["5 %", "NaN"]
)
def test_one_altered_weight_is_noticed(
    network: nn.Module, exported: onnx.ModelProto, tmp_path: Path, spoil: Any
) -> None:
    wrong, layer = spoiled(exported, spoil)
    onnx.save(wrong, tmp_path / "m.onnx")

    with pytest.raises(GateFailed, match=r"m\.onnx does not compute what the network does") as told:
        agrees(network, tmp_path / "m.onnx", SHAPE)
    assert f"{layer} (Conv) is the first that differs" in str(told.value)
    assert "\n" not in str(told.value)


def test_agreement_does_not_depend_on_the_mode_the_network_was_left_in(
    network: nn.Module, exported: onnx.ModelProto, tmp_path: Path
) -> None:
    onnx.save(exported, tmp_path / "m.onnx")

    assert agrees(network.train(), tmp_path / "m.onnx", SHAPE) < 1e-5
    assert torch.is_grad_enabled()


def test_held_out_images_of_the_validation_split_are_taken(
    network: nn.Module, exported: onnx.ModelProto, tmp_path: Path
) -> None:
    settings = DataSettings.model_validate({"source": "digits", "image_size": 16})
    data = open_data(settings, device=torch.device("cpu"), base=tmp_path)
    onnx.save(exported, tmp_path / "m.onnx")

    images = held_out(data)
    found = agreement(network, tmp_path / "m.onnx", SHAPE, images=images)

    everything = torch.cat([batch for batch, _ in data.validation]).numpy()
    assert len(images) == min(len(everything), 256)
    assert all(any(np.array_equal(one, other) for other in everything) for one in images[:4])
    assert found.images == f"{len(images)} held-out images"
    assert found.outputs["logits"].rows == len(images)
    assert found.outputs["logits"].top1_agreement == 1.0


def test_without_images_it_says_that_noise_was_taken(
    network: nn.Module, exported: onnx.ModelProto, tmp_path: Path
) -> None:
    onnx.save(exported, tmp_path / "m.onnx")

    found = agreement(network, tmp_path / "m.onnx", SHAPE)

    assert "16 rows of seeded noise, no held-out images were given" in str(found)
    assert found.to_json()["outputs"]["logits"]["max_abs"] == found.worst


def test_held_out_images_of_another_size_are_refused(
    network: nn.Module, exported: onnx.ModelProto, tmp_path: Path
) -> None:
    onnx.save(exported, tmp_path / "m.onnx")

    with pytest.raises(BadInput, match=r"held-out images are \(2, 3, 8, 8\)"):
        agreement(network, tmp_path / "m.onnx", SHAPE, images=np.zeros((2, 3, 8, 8), np.float32))


def test_a_file_for_one_batch_size_is_searched_too(network: nn.Module, tmp_path: Path) -> None:
    fixed = onnx_from_model(network, SHAPE, batch=1)
    wrong, layer = spoiled(fixed, lambda w: w * np.float32(1.05))
    for model, name in ((fixed, "good.onnx"), (wrong, "bad.onnx")):
        onnx.save(model, tmp_path / name)

    assert agrees(network, tmp_path / "good.onnx", SHAPE) < 1e-5
    with pytest.raises(GateFailed, match=rf"{layer} \(Conv\) is the first that differs"):
        agrees(network, tmp_path / "bad.onnx", SHAPE)


@pytest.fixture(scope="module")
def quantized(network: nn.Module) -> fx.GraphModule:
    made = prepare(fold_batch_norm(network))
    calibrate(made, [torch.randn(32, *SHAPE, generator=torch.Generator().manual_seed(0))])
    return made


@pytest.fixture(scope="module")
def marked(quantized: fx.GraphModule) -> onnx.ModelProto:
    return onnx_from_model(quantized, SHAPE)


@pytest.mark.parametrize("target", ["ort-x86", "ort-arm64", "tensorrt"])
def test_an_int8_file_agrees_with_the_network_that_rounds_alike(
    quantized: fx.GraphModule, marked: onnx.ModelProto, tmp_path: Path, target: str
) -> None:
    onnx.save(write_dialect(marked, ranges_of(quantized), target), tmp_path / "m.onnx")

    found = int8_agreement(quantized, tmp_path / "m.onnx", SHAPE, target)

    assert isinstance(found, Agreement)
    # Codes at ties differ by one; the largest seen is 0.01 of the largest logit.
    assert (found.outputs["logits"].relative or 0.0) < 0.05
    assert all(point.grid == "training" for point in quantized.modules() if hasattr(point, "grid"))


def test_an_int8_file_with_one_wrong_step_is_noticed(
    quantized: fx.GraphModule, marked: onnx.ModelProto, tmp_path: Path
) -> None:
    wrong = write_dialect(marked, ranges_of(quantized), "ort-x86")
    scale = next(each for each in wrong.graph.initializer if each.name == "stage2_0_relu1.scale")
    # Four times too coarse: two bits are lost in one layer, and the logits hardly show it.
    scale.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(4), scale.name)
    )
    onnx.save(wrong, tmp_path / "m.onnx")

    with pytest.raises(GateFailed, match=r"stage2_0_relu1/dequantize \(QuantizeLinear\) is the fi"):
        int8_agreement(quantized, tmp_path / "m.onnx", SHAPE, "ort-x86")


def test_a_softmax_of_another_network_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    def ends_in_a_softmax(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(768, 1000), nn.Softmax(dim=1)).eval()

    onnx.save(onnx_from_model(ends_in_a_softmax(1), SHAPE), tmp_path / "m.onnx")

    for limits in (FLOAT, HALF, INT8):
        with pytest.raises(GateFailed, match="does not compute what the network does"):
            agreement(ends_in_a_softmax(0), tmp_path / "m.onnx", SHAPE, limits)


@pytest.fixture(scope="module")
def gated() -> fx.GraphModule:
    """A convolution, scaled by a hard sigmoid of itself, in 8 bits."""

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 16, 3), nn.Linear(16, 10)
            self.gate = nn.Hardsigmoid()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            logits: torch.Tensor = self.fc((y * self.gate(y)).mean((2, 3)))
            return logits

    torch.manual_seed(0)
    made = prepare(fold_batch_norm(Gated().eval()))
    calibrate(made, [torch.randn(32, *SHAPE, generator=torch.Generator().manual_seed(0))])
    return made


def test_codes_that_are_read_with_two_steps_are_no_fault(
    gated: fx.GraphModule, tmp_path: Path
) -> None:
    made = write_dialect(onnx_from_model(gated, SHAPE), ranges_of(gated), "ort-x86")
    onnx.save(made, tmp_path / "m.onnx")
    steps = [node.input[1] for node in made.graph.node if node.op_type == "DequantizeLinear"]

    found = int8_agreement(gated, tmp_path / "m.onnx", SHAPE, "ort-x86")

    assert {"conv.scale", "HardSigmoid_0/sloped.scale"} <= set(steps)
    assert (found.outputs["logits"].relative or 0.0) < 0.05


def test_float16_beside_int8_is_judged_by_its_layers_too(
    quantized: fx.GraphModule, marked: onnx.ModelProto, tmp_path: Path
) -> None:
    good = write_dialect(marked, ranges_of(quantized), "tensorrt", float_type="float16")
    wrong, layer = copied(good), "stage2_0_relu1"
    scale = next(each for each in wrong.graph.initializer if each.name == f"{layer}.scale")
    scale.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(scale) * np.float16(4), scale.name)
    )
    onnx.save(good, tmp_path / "good.onnx")
    onnx.save(wrong, tmp_path / "bad.onnx")

    int8_agreement(quantized, tmp_path / "good.onnx", SHAPE, "tensorrt", half=True)
    with pytest.raises(GateFailed, match=rf"{layer}/dequantize \(QuantizeLinear\) is the first"):
        int8_agreement(quantized, tmp_path / "bad.onnx", SHAPE, "tensorrt", half=True)


def test_layers_that_cannot_be_compared_are_told_and_the_whole_is_judged_harder(
    quantized: fx.GraphModule,
    marked: onnx.ModelProto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = write_dialect(marked, ranges_of(quantized), "tensorrt")
    wrong = copied(right)
    bias = next(each for each in wrong.graph.initializer if list(each.dims) == [10])
    # A tenth of the largest logit, which the limit of files that are searched would let pass.
    images = np.random.default_rng(0).standard_normal((16, *SHAPE), dtype=np.float32)
    logits = np.abs(infer(open_session(right.SerializeToString()), images))
    moved = numpy_helper.to_array(bias) + np.eye(10)[0] * logits.max() / 10
    bias.CopyFrom(numpy_helper.from_array(moved.astype(np.float32), bias.name))
    onnx.save(right, tmp_path / "right.onnx")
    onnx.save(wrong, tmp_path / "wrong.onnx")

    def nothing_in_common(*_: Any, **__: Any) -> None:
        raise BadInput("where they differ cannot be told: one is not like the other")

    told: list[Any] = []
    monkeypatch.setattr(divergence_torch, "first_divergence_from_torch", nothing_in_common)

    with listening(lambda _, fields: told.append(fields["text"])):
        int8_agreement(quantized, tmp_path / "right.onnx", SHAPE, "tensorrt")
        with pytest.raises(GateFailed, match="one is not like the other"):
            int8_agreement(quantized, tmp_path / "wrong.onnx", SHAPE, "tensorrt")
    assert told[0].startswith("right.onnx is compared as a whole alone: where they differ")


def test_a_product_that_the_file_has_not_is_not_passed_over(
    quantized: fx.GraphModule, marked: onnx.ModelProto
) -> None:
    model = write_dialect(marked, ranges_of(quantized), "tensorrt")
    lost = next(node for node in model.graph.node if node.name == "stage1.0.conv2.conv")
    lost.op_type = "Identity"
    del lost.input[1:], lost.attribute[:]
    images = np.zeros((1, *SHAPE), np.float32)

    with pytest.raises(BadInput, match=r"stage1\.0\.conv2\.conv \(Conv\) is not found in the file"):
        divergence_torch.first_divergence_from_torch(quantized, model, images, every_product=True)


def test_a_file_found_wrong_is_called_so() -> None:
    assert failed_name("model.ort-x86.onnx") == "model.ort-x86.FAILED.onnx"
