"""Functions that read parameters become modules that hold the same ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from edgestill.models.canonical import canonical
from edgestill.models.fold import fold_batch_norm


class Holder(nn.Module):
    """Calls a function of its own weight and bias."""

    def __init__(self, shape: tuple[int, ...], call: Callable[..., Tensor]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(shape, generator=generator))
        self.bias = nn.Parameter(torch.randn(4, generator=generator))
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x, self.weight, self.bias)


def convolved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(x, weight, bias, stride=2, padding=(1, 0), groups=2)


def transposed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv_transpose2d(x, weight, bias, 2, 1, 1, 2, 2)


def along_a_line(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv1d(x.flatten(2), weight, bias, padding="same")


CASES = [
    (nn.Conv2d, (4, 2, 3, 3), convolved),
    (nn.ConvTranspose2d, (4, 2, 3, 3), transposed),
    (nn.Conv1d, (4, 4, 3), along_a_line),
    (nn.Linear, (4, 6), F.linear),
]


@pytest.mark.parametrize(("kind", "shape", "call"), CASES)
def test_a_function_becomes_the_module_at_its_holders_path(
    kind: type[nn.Module], shape: tuple[int, ...], call: Callable[..., Tensor]
) -> None:
    model = nn.Sequential(nn.ReLU(), Holder(shape, call))
    x = torch.randn((2, 4, 6, 6), generator=torch.Generator().manual_seed(1))

    made = canonical(fx.symbolic_trace(model))

    assert type(made.get_submodule("1")) is kind
    assert made.get_parameter("1.weight") is model.get_parameter("1.weight")
    assert list(made.state_dict()) == ["1.weight", "1.bias"]
    assert torch.equal(made(x), model(x))


class Two(nn.Module):
    """Two functions of one holder's parameters, and one of them called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.other = (nn.Parameter(torch.eye(3) * factor) for factor in (2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.linear(F.linear(x, self.weight), self.other), self.weight)


@pytest.mark.parametrize("nested", [False, True])
def test_several_functions_of_one_holder_become_several_modules(nested: bool) -> None:
    model = nn.Sequential(Two()) if nested else Two()

    made = canonical(fx.symbolic_trace(model))

    layers = [module for module in made.modules() if isinstance(module, nn.Linear)]
    assert len(layers) == 2
    assert torch.equal(made(torch.ones(1, 3)), torch.full((1, 3), 12.0))


class Normed(nn.BatchNorm2d):
    """A BatchNorm with an activation inside, as timm writes them."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.ReLU(inplace=True)
        nn.init.uniform_(self.weight, 0.5, 1.5)

    def forward(self, x: Tensor) -> Tensor:
        torch._assert(x.ndim == 4, f"expected 4 dimensions, got {x.ndim}")
        y = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)
        z: Tensor = self.act(self.drop(y))
        return z


def test_a_batch_norm_with_its_activation_is_folded() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), Normed(4)).eval()
    x = torch.randn((2, 3, 4, 4), generator=torch.Generator().manual_seed(1))

    folded = fold_batch_norm(model)

    kinds = [type(module) for module in folded.modules()]
    assert nn.BatchNorm2d not in kinds and kinds.count(nn.ReLU) == 1
    torch.testing.assert_close(folded(x), model(x), rtol=0, atol=1e-6)  # one layer


class Standardized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight - self.weight.mean())


def test_a_function_of_a_computed_weight_stays() -> None:
    made = canonical(fx.symbolic_trace(Standardized()))

    assert F.linear in [node.target for node in made.graph.nodes]
