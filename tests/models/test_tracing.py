"""What torch.fx cannot follow is called as it is, by name, and nothing more than that."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgestill.models.errors import BadInput
from edgestill.models.fake_quant import prepare, report
from edgestill.models.fold import fold_batch_norm
from edgestill.models.tracing import MOST_UNTRACED, trace


class Branching(nn.Module):
    """Its way depends on the numbers that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) if x.sum() > 0 else x
        return y


class Around(nn.Module):
    """Passes the call on."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        return y


def network() -> nn.Module:
    torch.manual_seed(0)
    inside = Around(Branching())
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), inside, nn.Conv2d(3, 2, 1)).eval()


@pytest.mark.parametrize("sign", [-1, 1])
def test_both_ways_of_an_untraceable_module_still_work(sign: int) -> None:
    model = network()
    x = sign * torch.rand((2, 3, 4, 4), generator=torch.Generator().manual_seed(0))

    traced, _ = trace(model)

    assert torch.equal(traced(x), model(x))


def test_the_smallest_untraceable_module_is_named_with_the_reason() -> None:
    _, untraced = trace(network())

    assert list(untraced) == ["2.inner"]
    assert "control flow" in untraced["2.inner"]


def test_an_untraceable_module_stays_float_with_all_its_layers() -> None:
    found = report(prepare(fold_batch_norm(network())))

    assert found["quantized"] == 2
    assert found["untraced"] == ["2.inner"]
    (line,) = found["float"]
    assert line.startswith("2.inner (Branching): cannot be traced: ")


def test_an_untraceable_outermost_forward_is_refused() -> None:
    with pytest.raises(BadInput, match=r"Branching cannot be traced by torch.fx .*control flow"):
        trace(Branching())


def test_too_many_untraceable_modules_are_refused() -> None:
    with pytest.raises(BadInput, match="Sequential cannot be traced"):
        trace(nn.Sequential(*(Branching() for _ in range(MOST_UNTRACED + 1))))


def test_tracing_does_not_touch_the_model() -> None:
    model = network().train()

    trace(model)

    assert model.training
