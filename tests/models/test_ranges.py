"""Ranges survive their file exactly, and a damaged file is refused in one line."""

from __future__ import annotations

import json

import pytest
import torch
from torch import fx, nn

from edgestill.models.errors import BadInput
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.quantized_layers import weight_scales
from edgestill.models.ranges import Ranges, ranges_of


@pytest.fixture
def prepared() -> fx.GraphModule:
    torch.manual_seed(0)
    return prepare(
        fold_batch_norm(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    )


@pytest.fixture
def ranges(prepared: fx.GraphModule) -> Ranges:
    calibrate(prepared, [torch.randn((2, 3, 4, 4), generator=torch.Generator().manual_seed(0))])
    return ranges_of(prepared)


def test_ranges_name_every_point_and_every_weight(ranges: Ranges, prepared: fx.GraphModule) -> None:
    scales = weight_scales(prepared.get_parameter("0.weight").detach())

    assert {name: item.signed for name, item in ranges.activations.items()} == {
        "images": True,
        "1": False,
    }
    assert list(ranges.weights) == ["0", "2"]
    assert ranges.weights["0"].scales == tuple(scales.tolist())


def test_a_transposed_convolution_has_its_steps_along_the_second_axis() -> None:
    made = prepare(fold_batch_norm(nn.Sequential(nn.ConvTranspose2d(3, 5, 2))))
    calibrate(made, [torch.ones((1, 3, 4, 4))])

    found = Ranges.from_json(ranges_of(made).to_json()).weights["0"]

    assert (found.axis, len(found.scales)) == (1, 5)


def test_ranges_come_back_exactly_from_json(ranges: Ranges) -> None:
    assert Ranges.from_json(ranges.to_json()) == ranges


def test_a_network_without_data_has_no_ranges(prepared: fx.GraphModule) -> None:
    with pytest.raises(BadInput, match="'images' has range nan"):
        ranges_of(prepared)


def test_a_float_network_has_no_ranges() -> None:
    with pytest.raises(BadInput, match="no quantization points"):
        ranges_of(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 7}, "version 7 found"),
        ({"activations": {"images": {"amax": 0.0, "signed": True}}}, "'images' is 0.0"),
        ({"activations": {"images": {"amax": "1", "signed": True}}}, "'images' is '1'"),
        ({"weights": {"0": {"axis": 0}}}, "lack a field"),
        ({"weights": 3}, "lack a field"),
    ],
)
def test_damaged_ranges_are_refused(
    ranges: Ranges, change: dict[str, object], message: str
) -> None:
    content = json.loads(ranges.to_json()) | change

    with pytest.raises(BadInput, match=message):
        Ranges.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1'])
def test_what_is_no_ranges_file_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="ranges"):
        Ranges.from_json(text)
