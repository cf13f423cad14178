"""Where the quantization points lie, read off small networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx, nn

from edgestill.models.activations import split_activations
from edgestill.models.errors import BadInput
from edgestill.models.kinds import layers_of
from edgestill.models.placement import Point, find_points
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet


def points(model: nn.Module) -> dict[str, Point]:
    return {point.name: point for point in find_points(fx.symbolic_trace(model))}


class Residual(nn.Module):
    """Two blocks' worth of the cases: identity and projected shortcut, pooling, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pool = nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)
        self.conv1, self.conv2 = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.conv3, self.conv4, self.shortcut = (nn.Conv2d(4, 4, 1) for _ in range(3))
        self.average, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.stem(x)))
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))) + x)
        x = torch.relu(self.shortcut(x) + self.conv4(torch.relu(self.conv3(x))))
        logits: Tensor = self.fc(torch.flatten(self.average(x), 1))
        return logits


def test_a_residual_network_has_exactly_these_points() -> None:
    found = points(Residual())

    assert list(found) == [
        "images",
        "relu",  # before the max-pooling, which has none of its own
        "relu_1",
        "conv2",  # the branch that ONNX Runtime's integer addition wants quantized
        "relu_2",
        "shortcut",
        "relu_3",
        "conv4",
        "relu_4",
        "average",  # not behind flatten, and none at the logits
    ]


def test_only_values_that_can_be_negative_are_signed() -> None:
    signed = {name for name, point in points(Residual()).items() if point.signed}

    assert signed == {"images", "conv2", "shortcut", "conv4"}


def test_tensorrt_wants_layer_inputs_and_the_identity_branch_only() -> None:
    left_out = {name for name, point in points(Residual()).items() if not point.tensorrt}

    # The convolutions that are merged with the addition, and the input of the average pooling.
    assert left_out == {"conv2", "conv4", "relu_4"}


def test_no_point_lies_between_a_layer_and_its_relu() -> None:
    spec = WideResNet(blocks=(2, 2, 2), widths=(8, 16, 16), image_size=16)
    traced = fx.symbolic_trace(build(spec, seed=0))
    modules = dict(traced.named_modules())

    for point in find_points(traced):
        readers = [modules.get(str(user.target)) for user in point.node.users]
        assert not (len(readers) == 1 and isinstance(readers[0], nn.ReLU)), point.name


class Sizes(nn.Module):
    """Arithmetic on sizes and with numbers, which is no operation on two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, height = x.size(0), x.shape[2]
        x = (x * 2).view(batch * height // height, 4, height, -1)
        y: Tensor = self.conv(x + 1)
        return y


def test_arithmetic_on_sizes_and_numbers_gets_no_point() -> None:
    assert list(points(Sizes())) == ["add"]


class Joined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([torch.relu(self.left(x)), torch.sigmoid(self.right(x))], 1)
        y: Tensor = self.last(joined)
        return y


def test_a_concatenation_is_quantized_on_all_sides() -> None:
    found = points(Joined())

    # `right` too: a sigmoid is not computed within an integer convolution.
    assert list(found) == ["images", "relu", "right", "sigmoid", "cat"]
    assert not found["cat"].signed


def test_names_are_module_paths_and_do_not_depend_on_the_process() -> None:
    spec = WideResNet(blocks=(1, 1, 1), widths=(8, 8, 8), image_size=16)

    names = list(points(build(spec, seed=0)))

    assert names == list(points(build(spec, seed=1)))
    assert {"stage1_0_relu1", "stage2_0_relu2", "pool"} <= set(names)


def traced(*layers: nn.Module) -> fx.GraphModule:
    made = fx.symbolic_trace(nn.Sequential(*layers))
    split_activations(made)
    return made


def test_a_gated_activation_has_points_before_at_the_gate_and_behind() -> None:
    found = find_points(traced(nn.Conv2d(3, 4, 1), nn.SiLU(), nn.Conv2d(4, 2, 1)))

    assert [(point.name, point.signed) for point in found] == [
        ("images", True),
        ("0", True),
        ("1_sigmoid", False),
        ("1", True),
    ]


def test_a_leaky_relu_is_an_operation_of_its_own() -> None:
    found = find_points(traced(nn.Conv2d(3, 3, 1), nn.LeakyReLU(), nn.Conv2d(3, 3, 1)))

    assert [(point.name, point.signed) for point in found] == [
        ("images", True),
        ("0", True),
        ("1", True),
    ]


class Pieces(nn.Module):
    """Splits, slices, pads and enlarges: the numbers stay what they were."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.last = (nn.Conv2d(2, 2, 1) for _ in range(3))
        self.pad, self.larger = nn.ZeroPad2d(1), nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=1)
        joined = torch.cat([self.left(self.pad(a)), self.right(self.larger(b))], 1)
        y: Tensor = self.last(joined[:, :2])
        return y


def test_pieces_of_a_value_have_its_point() -> None:
    assert list(points(Pieces())) == ["images", "left", "right", "cat"]


def test_a_bilinear_resize_makes_new_numbers() -> None:
    layers = nn.Conv2d(3, 3, 1), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(3, 3, 1)

    assert [point.name for point in find_points(traced(*layers))] == ["images", "0", "1"]


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.conv = nn.Parameter(torch.ones(4, 1, 1)), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv(x) * self.scale
        return y


def test_a_parameter_is_not_rounded_as_an_activation() -> None:
    assert list(points(Scaled())) == ["images", "conv", "mul"]


def test_a_layer_that_stays_float_asks_for_no_rounding() -> None:
    model = traced(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))

    assert layers_of(model) == ("0", "2", "3")
    assert [point.name for point in find_points(model, ["0"])] == ["1", "2"]


def test_an_integer_layer_before_one_in_float_gives_codes_in_onnx_runtime_only() -> None:
    model = traced(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))

    found = find_points(model, ["1"])

    assert [(point.name, point.tensorrt) for point in found] == [("images", True), ("0", False)]


def test_an_input_with_another_quantized_reader_is_still_rounded() -> None:
    found = find_points(fx.symbolic_trace(Joined()), keep_float=["left"])

    # `right` reads the images too, and the concatenation wants both its parts.
    assert [point.name for point in found] == ["images", "relu", "right", "sigmoid", "cat"]


def test_a_layer_that_is_not_there_is_refused_with_near_ones() -> None:
    with pytest.raises(BadInput, match=r"'rigt' is not a layer .* near it: right"):
        find_points(fx.symbolic_trace(Joined()), keep_float=["rigt"])


class Difference(nn.Module):
    """relu(a) - 2 relu(b), as an addition with a factor."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(3, 3, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        difference = torch.add(torch.relu(self.a(x)), torch.relu(self.b(x)), alpha=-2)
        y: Tensor = self.c(difference)
        return y


def test_a_sum_with_a_negative_factor_can_be_negative() -> None:
    assert points(Difference())["add"].signed
