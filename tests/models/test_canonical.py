"""Each rewrite to the canonical form computes the same numbers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.parametrizations import weight_norm
from torchvision.ops import FrozenBatchNorm2d, StochasticDepth

from edgestill.models.canonical import canonical, plain_modules
from edgestill.models.fold import fold_batch_norm


def images() -> Tensor:
    return torch.randn((2, 3, 4, 4), generator=torch.Generator().manual_seed(0))


def called(traced: fx.GraphModule) -> list[str]:
    return [str(node.target) for node in traced.graph.nodes if node.op.startswith("call")]


def test_a_frozen_batch_norm_is_folded() -> None:
    torch.manual_seed(0)
    norm = FrozenBatchNorm2d(4)
    for buffer in norm.buffers():
        buffer.uniform_(0.5, 1.5)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), norm)

    folded = fold_batch_norm(model)

    assert called(folded) == ["0"]
    torch.testing.assert_close(folded(images()), model(images()), rtol=0, atol=2e-6)  # one layer


def test_a_parametrized_weight_becomes_the_weight_that_it_computes() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(weight_norm(nn.Conv2d(3, 4, 1)))
    expected = model(images())

    plain_modules(model)

    assert type(model[0]) is nn.Conv2d
    assert torch.equal(model(images()), expected)


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.depth, self.nothing = StochasticDepth(0.5, "row"), nn.Identity()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(self.depth(self.nothing(x)), 0.5, self.training)
        y: Tensor = self.dropout(x)
        return y


def test_what_drops_nothing_in_eval_mode_goes_but_dropout_modules() -> None:
    made = canonical(fx.symbolic_trace(Dropping().eval()))

    assert called(made) == ["dropout"]


def test_dropout_that_is_always_on_stays() -> None:
    class Always(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x)

    assert len(called(canonical(fx.symbolic_trace(Always().eval())))) == 1


def test_an_identity_that_is_hooked_stays() -> None:
    traced = fx.symbolic_trace(nn.Sequential(nn.Identity(), nn.Identity()))

    assert called(canonical(traced, keep=["1"])) == ["1"]


class Overwriting(nn.Module):
    """Reads a value again after it was overwritten."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        before = y + 1
        self.relu(y)
        return before + y


def test_what_is_read_after_it_was_overwritten_is_read_from_the_writer() -> None:
    made = canonical(fx.symbolic_trace(Overwriting()))

    assert torch.equal(made(images()), Overwriting()(images()))
    relu = next(node for node in made.graph.nodes if node.target == "relu")
    assert [user.name for user in relu.users] == ["add_1"]


class Asserting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        torch._assert(x.shape[1] == 3, f"{x.ndim} dimensions")
        return x + 1


def test_assertions_about_shapes_are_no_readers() -> None:
    assert len(called(canonical(fx.symbolic_trace(Asserting())))) == 1


def test_the_network_that_was_copied_keeps_its_parametrization() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(weight_norm(nn.Conv2d(3, 4, 1)))
    expected = model(images())

    folded = fold_batch_norm(model)

    assert torch.equal(model(images()), expected)
    assert torch.equal(folded(images()), expected)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@torch.no_grad()
def test_a_weight_that_a_hook_computes_can_take_in_a_batch_norm() -> None:
    torch.manual_seed(0)
    normed = torch.nn.utils.weight_norm(nn.Conv2d(3, 4, 1))
    norm = nn.BatchNorm2d(4)
    nn.init.uniform_(norm.weight, 2, 3)
    model = nn.Sequential(normed, norm).eval()
    expected = model(images())

    folded = fold_batch_norm(model)

    torch.testing.assert_close(folded(images()), expected)
    assert called(folded) == ["0"]
    assert torch.equal(model(images()), expected)
