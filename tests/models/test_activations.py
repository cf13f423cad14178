"""Gated activations as a gate and a product: the same numbers, the same path."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from edgestill.models.activations import Product, split_activations


class Functions(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(F.silu(x, inplace=False))


@pytest.mark.parametrize("make", [nn.SiLU, nn.Hardswish, Functions])
def test_the_split_form_agrees_with_the_activation(make: type[nn.Module]) -> None:
    x = torch.linspace(-20, 20, 100_001)
    traced = fx.symbolic_trace(nn.Sequential(make()) if make is not Functions else make())

    expected = traced(x)
    split_activations(traced)
    traced.recompile()

    # Two roundings more per activation, of 6e-8 each; largest difference seen 3e-7 of x.
    assert ((traced(x) - expected).abs() <= 5e-7 * x.abs()).all()


def test_the_path_of_the_activation_names_the_product() -> None:
    traced = fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 4, 1), nn.SiLU()))

    split_activations(traced)
    traced.recompile()

    assert isinstance(traced.get_submodule("1"), Product)


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.Hardswish(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.act(x + 0) + 1)
        return y


def test_an_activation_called_twice_is_split_twice() -> None:
    traced = fx.symbolic_trace(Shared())
    x = torch.linspace(-5, 5, 1001)

    split_activations(traced)
    traced.recompile()

    assert [node.target for node in traced.graph.nodes].count(F.hardsigmoid) == 2
    torch.testing.assert_close(traced(x), Shared()(x), rtol=0, atol=2e-6)  # a few ulp of 6
