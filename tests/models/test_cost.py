"""The closed form of cost against fvcore and against the measured life of tensors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestill.models.branches import merge_branches
from edgestill.models.cost import cost
from edgestill.models.families import FAMILIES, Spec
from edgestill.models.measure import measure
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

from .any_specs import SPECS


@pytest.mark.parametrize("family", SPECS)
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_the_closed_form_is_what_fvcore_and_liveness_count(
    family: str, data: st.DataObject
) -> None:
    equal_to_the_count(data.draw(SPECS[family]))


@pytest.mark.families
@pytest.mark.parametrize("family", SPECS)
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_the_closed_form_is_that_for_two_hundred_of_each(family: str, data: st.DataObject) -> None:
    equal_to_the_count(data.draw(SPECS[family]))


def equal_to_the_count(spec: Spec) -> None:
    network = merge_branches(build(spec, seed=0))  # as it runs

    measured = measure(network, (spec.in_channels, spec.image_size, spec.image_size))

    assert cost(spec) == measured


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_columns_price_a_space_as_each_network_by_itself(family: str, data: st.DataObject) -> None:
    kind = FAMILIES[family]
    space = kind.space(num_classes=10, image_size=data.draw(st.sampled_from((32, 64, 224))))
    start = data.draw(st.integers(0, len(space) - 1))

    chunk = next(space.chunks(size=257, start=start))

    columns = dataclasses.asdict(kind.priced(chunk.shape))
    for place in (0, len(chunk.rows) // 2, len(chunk.rows) - 1):
        alone = dataclasses.asdict(space.spec(int(chunk.rows[place])).cost())
        found = {
            name: int(np.broadcast_to(value, chunk.rows.shape)[place])
            for name, value in columns.items()
        }
        assert found == alone


@pytest.mark.parametrize(
    ("width", "params", "convolutions_and_linear"),
    [(1.0, 369_690, 54_968_960), (0.5, 94_154, 14_795_072)],
)
def test_the_published_networks_cost_what_is_published(
    width: float, params: int, convolutions_and_linear: int
) -> None:
    spec = WideResNet.scaled(depth=28, width=width)

    found = cost(spec)

    assert found.params == params
    # The published 55.0 and 14.8 MMAC leave out what fvcore counts for batch norm and pooling.
    assert 0 < found.macs - convolutions_and_linear < 0.02 * found.macs


def test_int8_bytes_are_a_byte_a_weight_and_eight_a_channel() -> None:
    spec = WideResNet(blocks=(1, 1, 1), widths=(8, 8, 8), stem=8, num_classes=2)
    channels = 8 + 3 * 16 + 2 * 8 + 2
    weights = 8 * 27 + 6 * 8 * 8 * 9 + 2 * 8 * 8 + 8 * 2

    found = cost(spec)

    assert found.bytes_int8 == weights + 8 * channels
    assert found.bytes_fp32 == 4 * (weights + channels)
