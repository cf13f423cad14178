"""The numbers that fake quantization gives, against the integer arithmetic that it stands for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgestill.models.quantized_layers import (
    FakeQuantize,
    Grid,
    quantized,
    refusal,
    weight_scales,
)


def point(amax: float, *, signed: bool, grid: Grid = "training") -> FakeQuantize:
    made = FakeQuantize("p", signed=signed, tensorrt=True, momentum=0.5)
    made.amax.fill_(amax)
    made.grid = grid
    return made.eval()


@pytest.mark.parametrize(
    ("signed", "grid", "codes"),
    [
        (False, "training", range(128)),
        (False, "tensorrt", range(128)),
        (False, "ort-x86", range(256)),
        (False, "ort-arm64", range(256)),
        (True, "training", range(-128, 128)),
        (True, "tensorrt", range(-128, 128)),
        (True, "ort-x86", range(-128, 128)),
    ],
)
def test_a_point_gives_exactly_the_codes_of_its_grid(
    signed: bool, grid: Grid, codes: range
) -> None:
    made = point(2.0, signed=signed, grid=grid)

    values = made(torch.linspace(-4, 4, 20001)).unique()

    step = 2.0 / (255 if grid.startswith("ort") and not signed else 127)
    expected = torch.tensor(list(codes)) * step
    torch.testing.assert_close(values, expected, rtol=1e-6, atol=0)  # one float32 rounding


def test_the_gradient_passes_inside_the_range_only() -> None:
    x = torch.tensor([-1.0, 0.5, 1.9, 3.0], requires_grad=True)

    point(2.0, signed=False)(x).sum().backward()

    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_training_follows_the_batches_and_evaluation_does_not() -> None:
    made = FakeQuantize("p", signed=True, tensorrt=True, momentum=0.25)

    made.train()(torch.tensor([-4.0, 1.0]))
    first = float(made.amax)
    made(torch.tensor([0.0, 8.0]))
    second = float(made.amax)
    made.eval()(torch.tensor([100.0]))

    assert (first, second, float(made.amax)) == (4.0, 5.0, 5.0)


def test_a_point_without_data_gives_nan_rather_than_plausible_numbers() -> None:
    made = FakeQuantize("p", signed=True, tensorrt=True, momentum=0.5).eval()

    assert made(torch.ones(3)).isnan().all()


def test_a_value_that_is_always_zero_stays_zero() -> None:
    made = FakeQuantize("p", signed=False, tensorrt=True, momentum=0.5).train()

    assert made(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


def test_tensorrt_leaves_out_a_point_that_it_does_not_want() -> None:
    made = FakeQuantize("p", signed=True, tensorrt=False, momentum=0.5).eval()
    made.amax.fill_(1.0)
    made.grid = "tensorrt"
    x = torch.tensor([0.123456])

    assert torch.equal(made(x), x)


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_take_symmetric_codes_per_channel(bits: int) -> None:
    torch.manual_seed(0)
    layer = quantized(nn.Conv2d(3, 5, 3), bits)
    highest = 2 ** (bits - 1) - 1

    codes = layer.quantized_weight() / weight_scales(layer.weight, bits).view(-1, 1, 1, 1)

    torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-4)  # 127 in float32
    assert (codes.flatten(1).abs().amax(1).round() == highest).all()


def test_every_weight_gets_its_gradient() -> None:
    torch.manual_seed(0)
    layer = quantized(nn.Linear(4, 3), 8)

    layer(torch.ones(1, 4)).sum().backward()

    assert isinstance(layer.weight, nn.Parameter) and layer.weight.grad is not None
    assert (layer.weight.grad == 1).all()


def test_a_channel_of_zeros_has_a_step() -> None:
    assert (weight_scales(torch.zeros(2, 3)) > 0).all()


@pytest.mark.parametrize("output_size", [None, [9, 10]])
def test_a_transposed_convolution_rounds_each_output_channel_by_itself(
    output_size: list[int] | None,
) -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(3, 5, 3, stride=2)
    x = torch.randn(2, 3, 4, 4)
    # By the definition, channel after channel: its largest magnitude is code 127.
    rounded = layer.weight.detach().clone()
    for channel in range(5):
        step = rounded[:, channel].abs().max() / 127
        rounded[:, channel] = (rounded[:, channel] / step).round() * step
    expected = nn.ConvTranspose2d(3, 5, 3, stride=2)
    expected.load_state_dict(layer.state_dict() | {"weight": rounded})

    found = quantized(layer, 8)(x, output_size)

    # Float32 rounding of sums of 27 products.
    torch.testing.assert_close(found, expected(x, output_size), rtol=0, atol=1e-5)


def test_a_transposed_convolution_in_groups_has_no_quantized_form() -> None:
    assert "2 groups" in refusal(nn.ConvTranspose2d(4, 4, 2, groups=2))
    assert refusal(nn.ConvTranspose2d(4, 4, 2)) == ""
