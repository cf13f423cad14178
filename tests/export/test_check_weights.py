"""The weights of a file: how they are quantized, dead channels, layers that lost a bias."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from edgestill.export.check import check_model
from edgestill.export.contract import Contract
from edgestill.export.dialects import write_dialect
from edgestill.export.layer_weights import layer_weights
from edgestill.export.targets import TARGETS
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ranges_of

Write = Callable[..., Path]


class Small(torch.nn.Module):
    """A convolution, a linear layer on three axes, a linear layer on two; all with a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.mix = torch.nn.Linear(6, 6)
        self.fc = torch.nn.Linear(6, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = self.mix(torch.relu(self.conv(images)).mean(dim=2))
        out: torch.Tensor = self.fc(rows.mean(dim=1))
        return out


@pytest.fixture(scope="module")
def files() -> dict[str, onnx.ModelProto]:
    """The network in float and in every dialect."""
    torch.manual_seed(0)
    prepared = prepare(fold_batch_norm(Small()))
    calibrate(prepared, [torch.randn(16, 3, 8, 8)])
    marked, ranges = onnx_from_model(prepared.eval(), (3, 8, 8)), ranges_of(prepared)
    written = {target: write_dialect(marked, ranges, target) for target in TARGETS}
    return {"float": onnx_from_model(Small(), (3, 8, 8)), **written}


@pytest.mark.parametrize("name", ["float", *TARGETS])
def test_every_bias_is_counted_however_it_is_written(
    files: dict[str, onnx.ModelProto], name: str
) -> None:
    assert [each.biased for each in layer_weights(files[name].graph)] == [True] * 3


@pytest.mark.parametrize("target", TARGETS)
def test_our_dialects_have_scales_for_each_output_channel(
    files: dict[str, onnx.ModelProto], target: str
) -> None:
    found = layer_weights(files[target].graph)

    assert [len(each.scales) for each in found if each.scales is not None] == [4, 6, 5]
    assert all(each.axis in (None, each.channels) for each in found)


def test_a_lost_bias_fails_the_line(good: Path, write_classifier: Write) -> None:
    model = onnx.load(good)
    model.graph.node[0].input.append("bias")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "bias"))
    biased = good.with_name("biased.onnx")
    onnx.save(model, biased)
    contract = Contract(biased_layers_min=1)

    verdicts = [
        check_model(path, contract=contract).line("biased_layers_min").verdict
        for path in (biased, good)
    ]

    assert verdicts == ["pass", "fail"]


def test_scales_along_the_wrong_axis_are_named(write_classifier: Write) -> None:
    codes = np.random.default_rng(0).integers(-127, 128, (5, 5)).astype(np.int8)
    held = [
        numpy_helper.from_array(codes, "codes"),
        numpy_helper.from_array(np.linspace(0.01, 0.05, 5, dtype=np.float32), "scales"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scales"], ["fine"], axis=0),
        helper.make_node("MatMul", ["product", "fine"], ["logits"], "last"),
    ]
    path = write_classifier("axis", after=nodes, constants=held)

    line = check_model(path, contract=Contract()).line("weight_codes")

    assert line.verdict == "fail"
    assert line.found == "last: scales along axis 0, output channels are 1"


def test_one_scale_written_for_each_channel_is_one_scale(write_classifier: Write) -> None:
    codes = np.random.default_rng(0).integers(-127, 128, (5, 5)).astype(np.int8)
    held = [
        numpy_helper.from_array(codes, "codes"),
        numpy_helper.from_array(np.full(5, 0.05, np.float32), "scales"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scales"], ["fine"], axis=1),
        helper.make_node("MatMul", ["product", "fine"], ["logits"], "last"),
    ]
    path = write_classifier("same", after=nodes, constants=held)

    line = check_model(path, contract=Contract(weights="per-channel")).line("weights")

    assert line.verdict == "fail"


def test_dead_channels_are_counted_in_float_and_in_codes(
    files: dict[str, onnx.ModelProto],
) -> None:
    for name, model in files.items():
        dead = onnx.ModelProto()
        dead.CopyFrom(model)
        (kernel,) = (
            each for each in dead.graph.initializer if len(each.dims) == 4 and each.dims[0] == 4
        )
        values = numpy_helper.to_array(kernel).copy()
        values[1:3] = 0
        kernel.CopyFrom(numpy_helper.from_array(values, kernel.name))

        assert sum(each.dead for each in layer_weights(model.graph)) == 0, name
        assert sum(each.dead for each in layer_weights(dead.graph)) == 2, name


def test_a_batch_norm_that_is_not_folded_is_a_bias(write_classifier: Write) -> None:
    held = [numpy_helper.from_array(np.ones(5, np.float32), name) for name in ("s", "b", "m", "v")]
    node = helper.make_node("BatchNormalization", ["product", "s", "b", "m", "v"], ["logits"])
    path = write_classifier("norm", after=[node], constants=held)

    found = {each.layer: each.biased for each in layer_weights(onnx.load(path).graph)}

    assert found == {"conv": False, "product": True}


@pytest.mark.parametrize("op", ["Identity", "Constant"])
def test_tensors_that_a_node_gives_count_as_those_of_the_file(
    files: dict[str, onnx.ModelProto], op: str
) -> None:
    """As TorchScript's exporter writes a tensor that is there twice."""
    model = onnx.ModelProto()
    model.CopyFrom(files["float"])
    given = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for name, tensor in given.items():
        held = numpy_helper.to_array(tensor)
        told = {"value": numpy_helper.from_array(held)} if op == "Constant" else {}
        tensor.name = f"{name}.held"
        nodes.append(helper.make_node(op, [] if told else [tensor.name], [name], **told))
    nodes += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)

    found = layer_weights(model.graph)

    assert [each.biased for each in found] == [True] * 3
    for ours, theirs in zip(found, layer_weights(files["float"].graph), strict=True):
        assert np.array_equal(ours.values, theirs.values)
