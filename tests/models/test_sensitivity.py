"""The layer that 8 bits hurt is found, and only as many as need it stay float."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from edgestill.models.fake_quant import calibrate, points_of, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.sensitivity import LayerCost, float_layers, layer_costs, whole_cost

IMAGES = [torch.randn((8, 3, 8, 8), generator=torch.Generator().manual_seed(n)) for n in (0, 1)]


class Plain(nn.Module):
    """Three layers, of which the second has a weight a thousand times as large as its others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 5)
        with torch.no_grad():
            self.second.weight[:, 0, 0, 0] = 1000 * self.second.weight.abs().max()
            self.first.weight[0] = 0  # what the large weights multiply is always zero
            assert self.first.bias is not None
            self.first.bias[0] = 0

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.second(torch.relu(self.first(x))))
        logits: Tensor = self.last(y.mean(dim=(2, 3)))
        return logits


@pytest.fixture
def folded() -> fx.GraphModule:
    torch.manual_seed(0)
    return fold_batch_norm(Plain())


@pytest.fixture
def prepared(folded: fx.GraphModule) -> fx.GraphModule:
    return calibrated(folded)


def calibrated(folded: fx.GraphModule, kept: tuple[str, ...] = ()) -> fx.GraphModule:
    made = prepare(folded, keep_float=kept)
    calibrate(made, IMAGES)
    return made


def test_the_layer_that_is_hurt_comes_first(prepared: fx.GraphModule) -> None:
    costs = layer_costs(prepared, IMAGES)

    assert costs[0].layer == "second"
    assert {cost.layer for cost in costs} == {"first", "second", "last"}
    assert costs[0].divergence > 100 * costs[1].divergence


def test_a_cost_is_the_divergence_of_the_logits(
    folded: fx.GraphModule, prepared: fx.GraphModule
) -> None:
    images = torch.cat(IMAGES)
    float_logits, int8_logits = numpy(folded(images)), numpy(prepared(images))

    cost = whole_cost(prepared, IMAGES)

    p, q = softmax(float_logits), softmax(int8_logits)
    assert cost.divergence == pytest.approx((p * np.log(p / q)).sum(axis=1).mean(), rel=1e-6)
    assert cost.changed == (float_logits.argmax(axis=1) != int8_logits.argmax(axis=1)).mean()


def test_the_network_is_left_as_it_was(prepared: fx.GraphModule) -> None:
    x = IMAGES[0]
    before = prepared(x)

    layer_costs(prepared, IMAGES)

    assert torch.equal(prepared(x), before)
    assert all(point.enabled for point in points_of(prepared))


def test_only_the_layers_that_need_it_stay_float(
    folded: fx.GraphModule, prepared: fx.GraphModule
) -> None:
    costs = layer_costs(prepared, IMAGES)

    kept = float_layers(costs, IMAGES, lambda layers: calibrated(folded, layers))

    assert kept == ("second",)
    assert whole_cost(calibrated(folded, kept), IMAGES).divergence < 0.01 * costs[0].divergence


def test_a_network_that_8_bits_do_not_hurt_keeps_none(folded: fx.GraphModule) -> None:
    second = folded.get_submodule("second")
    assert isinstance(second, nn.Conv2d)
    with torch.no_grad():
        second.weight[:, 0, 0, 0] = 0
    made = calibrated(folded)

    kept = float_layers(layer_costs(made, IMAGES), IMAGES, lambda _: made)

    assert kept == ()


def test_a_layer_whose_cost_is_the_last_digit_is_not_kept(prepared: fx.GraphModule) -> None:
    costs = [LayerCost(layer="first", divergence=1e-9, changed=0.5), *layer_costs(prepared, IMAGES)]

    assert float_layers(costs, IMAGES, lambda _: prepared) == ()


def test_at_most_a_tenth_of_the_layers_stays_float(prepared: fx.GraphModule) -> None:
    costs = [LayerCost(layer=f"layer{n}", divergence=1.0, changed=0.5) for n in range(30)]
    asked = []

    def never_better(layers: tuple[str, ...]) -> fx.GraphModule:
        asked.append(layers)
        return prepared

    kept = float_layers(costs, IMAGES, never_better)

    assert kept == ("layer0", "layer1", "layer2")
    assert asked == [(), ("layer0",), ("layer0", "layer1")]


def test_the_only_layer_does_not_stay_float(prepared: fx.GraphModule) -> None:
    costs = [LayerCost(layer="only", divergence=1.0, changed=0.5)]

    assert float_layers(costs, IMAGES, lambda _: prepared) == ()


def numpy(logits: Tensor) -> np.ndarray:
    array: np.ndarray = logits.detach().double().numpy()
    return array


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: np.ndarray = exponents / exponents.sum(axis=1, keepdims=True)
    return shares
