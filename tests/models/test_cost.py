"""The closed form of cost against fvcore and against the measured life of tensors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestill.models.cost import cost
from edgestill.models.measure import measure
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

CHANNELS = st.integers(1, 12)
SPECS = st.builds(
    WideResNet,
    depth=st.sampled_from((10, 10, 16)),  # each further block repeats what the second one costs
    widths=st.tuples(CHANNELS, CHANNELS, CHANNELS),
    stem=CHANNELS,
    num_classes=st.integers(1, 20),
    image_size=st.integers(1, 13),
    in_channels=st.integers(1, 4),
)


@given(spec=SPECS)
@settings(max_examples=200, deadline=None)
def test_the_closed_form_is_what_fvcore_and_liveness_count(spec: WideResNet) -> None:
    network = build(spec, seed=0)

    measured = measure(network, (spec.in_channels, spec.image_size, spec.image_size))

    assert cost(spec) == measured


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
    spec = WideResNet(depth=10, widths=(8, 8, 8), stem=8, num_classes=2)
    channels = 8 + 3 * 16 + 2 * 8 + 2
    weights = 8 * 27 + 6 * 8 * 8 * 9 + 2 * 8 * 8 + 8 * 2

    found = cost(spec)

    assert found.bytes_int8 == weights + 8 * channels
    assert found.bytes_fp32 == 4 * (weights + channels)
