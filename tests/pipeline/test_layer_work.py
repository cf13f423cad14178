"""A network's layers as the totals that the estimate weighs, one network or many at once."""

from __future__ import annotations

import numpy as np
import pytest

from edgestill.deploy.latency_estimate import LayerWork, columns_ms, estimate
from edgestill.deploy.power_modes import device_named
from edgestill.models.families import FAMILIES
from edgestill.models.layer import Layer
from edgestill.pipeline.layer_work import network_work

ORIN = device_named("orin-nano@15W")
CONV = Layer(kind="conv", channels_in=3, channels_out=16, size=32, kernel=3, norm=True)


def test_totals_by_hand() -> None:
    found = network_work(
        [
            CONV,
            Layer(kind="depthwise", channels_in=16, channels_out=16, size=32, kernel=3, stride=2),
            Layer(kind="global_pool", channels_in=16, channels_out=16, size=16, kernel=0),
            Layer(kind="linear", channels_in=16, channels_out=10, size=1, kernel=0),
        ]
    )

    assert found.depthwise_macs == 9 * 16 * 16**2
    assert found.macs == 27 * 16 * 32**2 + 9 * 16 * 16**2 + 160
    assert found.params == 27 * 16 + 2 * 16 + 9 * 16 + 16 + 160 + 10
    assert found.activations == (3 + 16) * 1024 + 16 * (1024 + 256) + 16 * 257 + 26
    assert found.layers == 4


def test_a_layer_counts_as_often_as_it_stands_there() -> None:
    twice = Layer(kind="conv", channels_in=8, channels_out=8, size=4, kernel=3, count=2)
    once = Layer(kind="conv", channels_in=8, channels_out=8, size=4, kernel=3)

    assert network_work([twice]) == network_work([once, once])
    assert network_work(
        [CONV, Layer(kind="conv", channels_in=8, channels_out=8, size=4, count=0)]
    ) == (network_work([CONV]))


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("precision", ["int8", "fp16", "fp32"])
def test_a_space_in_columns_takes_what_its_networks_take_one_by_one(
    family: str, precision: str
) -> None:
    space = FAMILIES[family].space(num_classes=10, image_size=32)
    chunk = next(space.chunks(400, start=len(space) // 2))
    some = np.linspace(0, len(chunk.rows) - 1, 12).astype(int)

    columns = np.broadcast_to(
        columns_ms(network_work(FAMILIES[family].layers(chunk.shape)), ORIN, precision),
        chunk.rows.shape,
    )

    specs = [space.spec(int(row)) for row in chunk.rows[some]]
    one_by_one = [estimate(network_work(spec.layers(spec)), ORIN, precision).ms for spec in specs]
    assert columns[some] == pytest.approx(one_by_one, rel=1e-12)


def test_layers_by_themselves_take_what_their_totals_take() -> None:
    layers = [CONV, Layer(kind="depthwise", channels_in=16, channels_out=16, size=32, kernel=3)]
    size = 1  # byte, of int8
    by_layer = [
        LayerWork(
            macs=layer.macs,
            weight_bytes=size * layer.part().params,
            activation_bytes=size * (layer.elements_in + layer.elements_out),
            depthwise=layer.kind == "depthwise",
        )
        for layer in layers
    ]

    assert estimate(by_layer, ORIN, "int8").ms == pytest.approx(
        columns_ms(network_work(layers), ORIN, "int8")
    )
