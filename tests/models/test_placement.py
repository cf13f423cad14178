"""Where the quantization points lie, read off small networks."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

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
    spec = WideResNet(depth=16, widths=(8, 16, 16), image_size=16)
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
    spec = WideResNet(depth=10, widths=(8, 8, 8), image_size=16)

    names = list(points(build(spec, seed=0)))

    assert names == list(points(build(spec, seed=1)))
    assert {"stage1_0_relu1", "stage2_0_relu2", "pool"} <= set(names)
