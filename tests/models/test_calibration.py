"""Calibration finds the ranges that its method promises, and changes nothing else."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, fx, nn

from edgestill.models.calibration import Method, calibrate
from edgestill.models.errors import BadInput
from edgestill.models.fake_quant import points_of, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.quantized_layers import FakeQuantize


@pytest.fixture
def prepared() -> fx.GraphModule:
    torch.manual_seed(0)
    return prepare(
        fold_batch_norm(nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    )


def image_point(prepared: nn.Module) -> FakeQuantize:
    return next(point for point in points_of(prepared) if point.point == "images")


def heavy_tailed() -> list[Tensor]:
    """Normal values, and one outlier of 50."""
    values = torch.randn((2, 1, 64, 64), generator=torch.Generator().manual_seed(0))
    values[0, 0, 0, 0] = -50.0
    return [values[:1], values[1:]]


def test_minmax_takes_the_largest_magnitude_of_all_batches(prepared: fx.GraphModule) -> None:
    calibrate(prepared, heavy_tailed(), method="minmax")

    assert float(image_point(prepared).amax) == 50.0


def test_the_percentile_is_that_of_the_magnitudes(prepared: fx.GraphModule) -> None:
    batches = heavy_tailed()

    calibrate(prepared, batches, method="percentile", percentile=99.0)

    exact = torch.cat(batches).abs().flatten().quantile(0.99)
    width = 50.0 / 2048  # of a histogram's bin
    assert abs(float(image_point(prepared).amax) - exact) <= width


def test_the_least_error_is_less_than_with_the_largest_value(prepared: fx.GraphModule) -> None:
    batches = heavy_tailed()
    x = torch.cat(batches)
    errors = {}

    for method in ("mse", "minmax"):
        calibrate(prepared, batches, method=method)
        errors[method] = float((image_point(prepared)(x) - x).square().mean())

    assert errors["mse"] < errors["minmax"]


@pytest.mark.parametrize("method", ["mse", "percentile", "minmax"])
def test_calibrating_twice_gives_the_same_ranges(prepared: fx.GraphModule, method: Method) -> None:
    again = copy.deepcopy(prepared)

    calibrate(prepared, heavy_tailed(), method=method)
    calibrate(again, heavy_tailed(), method=method)

    pairs = zip(points_of(prepared), points_of(again), strict=True)
    assert all(torch.equal(one.amax, other.amax) for one, other in pairs)


def test_calibration_leaves_weights_and_mode_alone(prepared: fx.GraphModule) -> None:
    before = {name: value.clone() for name, value in prepared.named_parameters()}
    prepared.train()

    calibrate(prepared, heavy_tailed())

    assert prepared.training
    assert all(torch.equal(before[name], value) for name, value in prepared.named_parameters())
    assert all(point.enabled for point in points_of(prepared))


def test_no_images_are_refused(prepared: fx.GraphModule) -> None:
    with pytest.raises(BadInput, match="batches are empty"):
        calibrate(prepared, [])


def test_an_image_with_infinity_is_refused_by_its_point(prepared: fx.GraphModule) -> None:
    with pytest.raises(BadInput, match="'images' saw a value of inf"):
        calibrate(prepared, [torch.full((1, 1, 2, 2), torch.inf)])


def test_batches_that_can_be_read_once_only_are_refused(prepared: fx.GraphModule) -> None:
    with pytest.raises(BadInput, match="no images in the second pass"):
        calibrate(prepared, iter(heavy_tailed()), method="mse")


def test_a_network_in_which_nothing_is_rounded_is_refused() -> None:
    prepared = prepare(fold_batch_norm(nn.Sequential(nn.Conv2d(1, 4, 1))), keep_float=("0",))

    with pytest.raises(BadInput, match="nothing of the network is in 8 bits"):
        calibrate(prepared, heavy_tailed())
