"""A network comes into 8 bits as the recipe says, and "auto" finds what had better stay float."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx, nn

from edgestill.models.errors import BadInput
from edgestill.models.fold import fold_batch_norm
from edgestill.models.quantized_layers import QuantizedLayer
from edgestill.pipeline.events import listening
from edgestill.pipeline.quantizing import Calibrated, calibrated

IMAGES = [torch.randn((8, 3, 8, 8), generator=torch.Generator().manual_seed(n)) for n in range(4)]


class Hurt(nn.Module):
    """Its second layer multiplies a value that is always zero by a huge weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 5)
        assert self.first.bias is not None
        with torch.no_grad():
            self.second.weight[:, 0, 0, 0] = 1e3
            self.first.weight[0], self.first.bias[0] = torch.zeros(3, 3, 3), torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.second(torch.relu(self.first(x))))
        logits: Tensor = self.last(y.mean(dim=(2, 3)))
        return logits


@pytest.fixture(scope="module")
def folded() -> fx.GraphModule:
    torch.manual_seed(0)
    return fold_batch_norm(Hurt())


def made(folded: fx.GraphModule, keep_float: object) -> Calibrated:
    how = {"method": "minmax", "percentile": 99.99, "keep_float": keep_float}
    return calibrated(folded, IMAGES, **how)  # type: ignore[arg-type]


def quantized_layers(done: Calibrated) -> set[str]:
    return {name for name, each in done.network.named_modules() if isinstance(each, QuantizedLayer)}


def test_without_a_wish_every_layer_is_quantized(folded: fx.GraphModule) -> None:
    done = made(folded, ())

    assert quantized_layers(done) == {"first", "second", "last"}
    assert done.told() == {"keep_float": [], "costs": []}


def test_a_named_layer_stays_float(folded: fx.GraphModule) -> None:
    done = made(folded, ("last",))

    assert quantized_layers(done) == {"first", "second"}
    assert done.told()["keep_float"] == ["last"]


def test_a_layer_that_is_none_is_refused_with_the_near_ones(folded: fx.GraphModule) -> None:
    with pytest.raises(BadInput, match=r"secnd.*second"):
        made(folded, ("secnd",))


def test_auto_keeps_the_hurt_layer_in_float_and_says_so(folded: fx.GraphModule) -> None:
    notes: list[str] = []

    with listening(lambda kind, fields: notes.append(f"{kind}: {fields['text']}")):
        done = made(folded, "auto")

    assert quantized_layers(done) == {"first", "last"}
    assert [cost["kept_float"] for cost in done.told()["costs"]] == [True, False, False]
    assert notes == ["note: stay float, since 8 bits cost them most: second"]
