"""The layer that is named is the one that was broken; sound files have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, helper, numpy_helper
from torch import fx, nn

from edgestill.export import divergence as module
from edgestill.export.dialects import write_dialect
from edgestill.export.divergence import Divergence, first_divergence
from edgestill.export.divergence_torch import first_divergence_from_torch
from edgestill.export.graph import constants, copied, reread, set_nodes
from edgestill.export.half import half_precision
from edgestill.export.layer_error import HALF
from edgestill.export.onnx_steps import OnnxSteps
from edgestill.export.raw_input import Layout, scale_and_shift, take_pixels
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.errors import BadInput
from edgestill.models.fake_quant import calibrate, prepare, set_grid
from edgestill.models.fold import fold_batch_norm
from edgestill.models.quantized_layers import Grid
from edgestill.models.ranges import ranges_of
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

Array = np.ndarray[Any, Any]
SHAPE = (3, 16, 16)
LAYER, RELU, ADD = "stage2.0.conv1.conv", "Relu_3", "Add_1"
TARGETS: tuple[Grid, ...] = ("ort-x86", "ort-arm64", "tensorrt")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A student whose BatchNorms have something to fold."""
    made = build(WideResNet.scaled(depth=10, width=0.5, image_size=16), seed=0).eval()
    chance = torch.Generator().manual_seed(1)
    for norm in made.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
                assert values is not None
                values.data.add_(torch.rand(values.shape, generator=chance) * 0.3)
    return made


@pytest.fixture(scope="module")
def exported(network: nn.Module) -> ModelProto:
    return onnx_from_model(network, SHAPE)


@pytest.fixture(scope="module")
def images() -> Array:
    return np.random.default_rng(0).standard_normal((4, *SHAPE), dtype=np.float32)


@pytest.fixture(scope="module")
def quantized(network: nn.Module, images: Array) -> fx.GraphModule:
    made = prepare(fold_batch_norm(network))
    calibrate(made, [torch.from_numpy(images)])
    return made


@pytest.fixture(scope="module")
def dialects(quantized: fx.GraphModule) -> dict[str, ModelProto]:
    marked = onnx_from_model(quantized, SHAPE)
    return {target: write_dialect(marked, ranges_of(quantized), target) for target in TARGETS}


def node(model: ModelProto, name: str) -> onnx.NodeProto:
    found: onnx.NodeProto = next(each for each in model.graph.node if each.name == name)
    return found


def altered(model: ModelProto, name: str, change: Callable[[Array], Array]) -> None:
    tensor = constants(model.graph)[name]
    values = np.ascontiguousarray(change(numpy_helper.to_array(tensor)))
    tensor.CopyFrom(numpy_helper.from_array(values, name))


def weight(change: Callable[[Array], Array]) -> Callable[[ModelProto], None]:
    return lambda model: altered(model, f"{LAYER}.weight", change)


def attribute(name: str, values: list[int]) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        item = next(each for each in node(model, LAYER).attribute if each.name == name)
        item.CopyFrom(helper.make_attribute(name, values))

    return change


def drop(model: ModelProto, name: str) -> None:
    gone = node(model, name)
    reread(model.graph.node, gone.output[0], gone.input[0])
    set_nodes(model.graph, [each for each in model.graph.node if each.name != name])


def replace_relu(model: ModelProto) -> None:
    node(model, RELU).op_type = "LeakyRelu"


def rewire(model: ModelProto) -> None:
    add = node(model, ADD)
    add.input[1] = add.input[0]


FAULTS: dict[str, tuple[str, Callable[[ModelProto], None]]] = {
    "a weight 0.1 % too large": (LAYER, weight(lambda w: w * np.float32(1.001))),
    "kernels turned": (LAYER, weight(lambda w: w.transpose(0, 1, 3, 2))),
    "input channels reversed": (LAYER, weight(lambda w: w[:, ::-1])),
    "one channel of zeros": (LAYER, weight(lambda w: np.concatenate([w[:1] * 0, w[1:]]))),
    "NaN": (LAYER, weight(lambda w: w * np.float32(np.nan))),
    "padding moved": (LAYER, attribute("pads", [0, 0, 2, 2])),
    "padding gone": (LAYER, attribute("pads", [0, 0, 0, 0])),
    "stride": (LAYER, attribute("strides", [1, 1])),
    "ReLU dropped": (RELU, lambda model: drop(model, RELU)),
    "first ReLU dropped": ("Relu_0", lambda model: drop(model, "Relu_0")),
    "last ReLU dropped": ("Relu_6", lambda model: drop(model, "Relu_6")),
    "ReLU replaced": (RELU, replace_relu),
    "the wrong branch added": (ADD, rewire),
}
# The torch network calls what is missing by the path of its module.
PATHS = {RELU: "stage2.0.relu1", "Relu_0": "relu", "Relu_6": "stage3.0.relu2"}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_layer_that_was_broken_is_named(
    network: nn.Module, exported: ModelProto, images: Array, fault: str
) -> None:
    broken, (layer, change) = copied(exported), FAULTS[fault]
    change(broken)

    by_file = first_divergence(exported, broken, {"images": images})
    by_torch = first_divergence_from_torch(network, broken, images)

    assert by_file is not None
    assert by_torch is not None
    assert by_file.layer == layer
    assert by_torch.layer in (layer, PATHS.get(layer))
    assert not by_file.found <= by_file.limit


def test_a_wrongly_folded_batch_norm_is_found_in_its_convolution(
    network: nn.Module, images: Array
) -> None:
    norm = network.get_submodule("stage2.0.conv2.bn")
    assert isinstance(norm, nn.BatchNorm2d)
    norm.eps = 0.05  # as a converter that assumes another default
    wrong = onnx_from_model(network, SHAPE)
    norm.eps = 1e-5

    found = first_divergence_from_torch(network, wrong, images)

    assert found is not None
    assert (found.layer, found.op) == ("stage2.0.conv2.conv", "Conv")


def test_sound_files_have_no_such_layer(
    network: nn.Module, exported: ModelProto, images: Array
) -> None:
    half = half_precision(copied(exported))

    assert first_divergence(exported, exported, {"images": images}) is None
    assert first_divergence_from_torch(network, exported, images) is None
    assert first_divergence(exported, half, {"images": images}, limit=HALF) is None


def test_it_says_what_agreed_and_what_is_seen_there(exported: ModelProto, images: Array) -> None:
    broken = copied(exported)
    FAULTS["padding moved"][1](broken)

    found = first_divergence(exported, broken, {"images": images})

    assert found is not None
    assert found.agreed_before == "Relu_2"
    assert found.why == "pads = [0, 0, 2, 2], in the reference [1, 1, 1, 1]"
    assert str(found).startswith(f"{LAYER} (Conv) is the first that differs: error ")


@pytest.mark.parametrize("target", TARGETS)
def test_8_bit_rounding_is_no_divergence(
    exported: ModelProto,
    quantized: fx.GraphModule,
    dialects: dict[str, ModelProto],
    images: Array,
    target: Grid,
) -> None:
    set_grid(quantized, target)

    assert first_divergence(exported, dialects[target], {"images": images}) is None
    assert first_divergence_from_torch(quantized, dialects[target], images) is None


@pytest.mark.parametrize("factor", [4.0, 0.25], ids=["4 times too coarse", "saturated"])
@pytest.mark.parametrize("target", TARGETS)
def test_one_wrong_step_is_named(
    exported: ModelProto,
    quantized: fx.GraphModule,
    dialects: dict[str, ModelProto],
    images: Array,
    target: Grid,
    factor: float,
) -> None:
    broken = copied(dialects[target])
    point = "stage2_0_relu1"
    altered(broken, f"{point}.scale", lambda scale: scale * np.float32(factor))
    set_grid(quantized, target)

    for found in (
        first_divergence(exported, broken, {"images": images}),
        first_divergence_from_torch(quantized, broken, images),
    ):
        assert found is not None
        assert found.layer == f"{point}/dequantize"


@pytest.mark.parametrize("part", ["codes", "scale"])
def test_wrong_8_bit_weights_are_named(
    exported: ModelProto, dialects: dict[str, ModelProto], images: Array, part: str
) -> None:
    broken = copied(dialects["ort-x86"])
    change = {"codes": lambda w: w.transpose(0, 1, 3, 2), "scale": lambda s: s * np.float32(4)}
    altered(broken, f"{LAYER}.weight.{part}", change[part])

    found = first_divergence(exported, broken, {"images": images})

    assert found is not None
    assert found.layer == LAYER


def test_files_without_common_names_are_lined_up_by_order(
    exported: ModelProto, images: Array
) -> None:
    foreign = copied(exported)
    for place, each in enumerate(foreign.graph.node):
        each.name = f"n{place}"
    for name in [tensor.name for tensor in foreign.graph.initializer]:
        reread(foreign.graph.node, name, f"w_{name.replace('.', '_')}")
        constants(foreign.graph)[name].name = f"w_{name.replace('.', '_')}"
    sound = first_divergence(exported, foreign, {"images": images})
    altered(foreign, f"w_{LAYER.replace('.', '_')}_weight", lambda w: w * np.float32(1.01))

    found = first_divergence(exported, foreign, {"images": images})

    assert sound is None
    assert found is not None
    order = [each.name for each in exported.graph.node]
    assert found.layer == f"n{order.index(LAYER)}"


@pytest.mark.parametrize("layout", ["hwc", "chw"])
def test_a_wrong_normalisation_inside_the_file_is_named(
    network: nn.Module, exported: ModelProto, layout: Layout
) -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    pixels = np.random.default_rng(0).integers(0, 256, (4, *SHAPE), dtype=np.uint8)
    scale, shift = scale_and_shift(mean, std)
    found = []
    for given in (mean, mean[::-1]):  # as of channels in the order BGR
        model = copied(exported)
        take_pixels(model, mean=given, std=std, layout=layout)
        raw = pixels if layout == "chw" else np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        images = pixels.astype(np.float32) * scale + shift
        found.append(first_divergence_from_torch(network, model, images, pixels=raw))

    assert found[0] is None
    assert found[1] is not None
    assert (found[1].value.split("/")[0], found[1].op) == ("images", "Add")


def test_networks_with_nothing_in_common_are_told_so(exported: ModelProto, images: Array) -> None:
    other = helper.make_model(
        helper.make_graph(
            [helper.make_node("Sigmoid", ["images"], ["y"])],
            "other",
            [helper.make_tensor_value_info("images", 1, ["N", *SHAPE])],
            [helper.make_tensor_value_info("y", 1, ["N", *SHAPE])],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    two = copied(exported)
    two.graph.output.extend([helper.make_empty_tensor_value_info("Relu_0/out")])

    with pytest.raises(BadInput, match="where they differ cannot be told"):
        first_divergence(two, other, {"images": images})


def test_only_what_is_still_read_is_held(
    exported: ModelProto, images: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, asked = [], []
    run = OnnxSteps.run

    def watched(self: Any, wanted: Any, given: Any) -> Any:
        held.append(len(given))
        asked.append(len(wanted))
        return run(self, wanted, given)

    monkeypatch.setattr(OnnxSteps, "run", watched)

    assert first_divergence(exported, exported, {"images": images}) is None
    # Two branches of a block, their sum and what the next layers of the call read.
    assert max(held) <= module.TOGETHER + 2
    assert max(asked) <= module.TOGETHER
    assert sum(asked) == 2 * (len(exported.graph.node) - 1)  # each value once on either side


def test_a_divergence_is_told_in_one_line() -> None:
    found = Divergence(
        layer="fc", op="Gemm", value="logits", found=np.inf, limit=2e-5, agreed_before="", layers=1
    )

    assert str(found) == "fc (Gemm) is the first that differs: not finite, or of another shape"
