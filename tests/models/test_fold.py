"""Folding BatchNorm keeps the function, the features' places and the caller's model."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgestill.models.errors import BadInput
from edgestill.models.fold import fold_batch_norm
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet


def warmed(model: nn.Module, *shape: int) -> nn.Module:
    """`model` with running statistics that are not the initial 0 and 1."""
    generator = torch.Generator().manual_seed(0)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn((8, *shape), generator=generator) + 0.3)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) for module in model.modules())


@pytest.fixture
def student() -> nn.Module:
    spec = WideResNet(blocks=(1, 1, 1), widths=(8, 16, 16), image_size=16)
    return warmed(build(spec, seed=0), 3, 16, 16)


def test_folding_keeps_the_output_and_removes_every_batch_norm(student: nn.Module) -> None:
    images = torch.randn((4, 3, 16, 16), generator=torch.Generator().manual_seed(1))

    folded = fold_batch_norm(student)

    assert norms(student) > 0 and norms(folded) == 0
    # Float32 rounding over 10 layers; largest difference seen 1e-6.
    torch.testing.assert_close(folded(images), student(images), rtol=0, atol=1e-5)


def test_folding_does_not_touch_the_model(student: nn.Module) -> None:
    before = copy.deepcopy(student.state_dict())

    fold_batch_norm(student)

    after = student.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_linear_layer_takes_in_its_batch_norm() -> None:
    model = warmed(nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU()), 4)
    images = torch.randn((5, 4), generator=torch.Generator().manual_seed(1))

    folded = fold_batch_norm(model)

    assert norms(folded) == 0
    torch.testing.assert_close(folded(images), model(images), rtol=0, atol=1e-6)  # one layer


def test_the_biases_that_folding_makes_can_be_trained(student: nn.Module) -> None:
    folded = fold_batch_norm(student)

    assert all(weight.requires_grad for weight in folded.parameters())


class ReadTwice(nn.Module):
    """A convolution whose output is read beside its BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z: Tensor = self.norm(y) + y
        return z


class CalledTwice(nn.Module):
    """A convolution with a BatchNorm after its second call only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(self.conv(x)))
        return y


def without_statistics() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False))


@pytest.mark.parametrize("make", [ReadTwice, CalledTwice, without_statistics])
def test_a_batch_norm_that_nothing_can_take_in_stays(make: type[nn.Module]) -> None:
    model = warmed(make(), 3, 4, 4)
    images = torch.randn((2, 3, 4, 4), generator=torch.Generator().manual_seed(1))

    folded = fold_batch_norm(model)

    assert norms(folded) == 1
    torch.testing.assert_close(folded(images), model(images), rtol=0, atol=0)


class Shifted(nn.Module):
    """A BatchNorm that only a convolution reads, with nothing before it to go into."""

    def __init__(self, groups: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.conv = nn.Conv2d(4, 6, 3, groups=groups, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(self.norm(x))
        return y


@pytest.mark.parametrize("groups", [1, 2])
def test_an_unpadded_convolution_takes_in_the_batch_norm_before_it(groups: int) -> None:
    model = warmed(Shifted(groups), 4, 8, 8)
    x = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(1))

    folded = fold_batch_norm(model)

    assert norms(folded) == 0 and folded.kept_float == {}
    torch.testing.assert_close(folded(x), model(x), rtol=0, atol=2e-6)  # sums of 36 products


def test_a_padded_convolution_does_not_take_in_the_batch_norm_before_it() -> None:
    model = warmed(Shifted(padding=1), 4, 8, 8)

    folded = fold_batch_norm(model)

    assert folded.kept_float == {"norm": "it normalizes x, which is no convolution or linear layer"}


def test_a_transposed_convolution_takes_in_its_batch_norm() -> None:
    model = warmed(nn.Sequential(nn.ConvTranspose2d(3, 5, 2), nn.BatchNorm2d(5)), 3, 4, 4)
    x = torch.randn((2, 3, 4, 4), generator=torch.Generator().manual_seed(1))

    folded = fold_batch_norm(model)

    assert norms(folded) == 0
    torch.testing.assert_close(folded(x), model(x), rtol=0, atol=1e-6)  # one layer


def test_a_transposed_convolution_in_groups_keeps_its_batch_norm() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, groups=2), nn.BatchNorm2d(4)).eval()

    assert fold_batch_norm(model).kept_float == {"1": "0 is a transposed convolution in groups"}


def test_a_batch_norm_over_the_tokens_of_a_linear_layer_stays() -> None:
    model = warmed(nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(5)), 5, 4)
    x = torch.randn((2, 5, 4), generator=torch.Generator().manual_seed(1))

    folded = fold_batch_norm(model)

    assert folded.kept_float == {"1": "it does not normalize the channels of 0"}
    torch.testing.assert_close(folded(x), model(x), rtol=0, atol=0)


def test_a_convolution_that_is_distilled_is_not_merged_with_the_batch_norm_behind_it() -> None:
    model = warmed(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), 3, 4, 4)
    x = torch.randn((2, 3, 4, 4), generator=torch.Generator().manual_seed(1))

    folded = fold_batch_norm(model, blocks=("0",))

    paths: tuple[str, ...] = folded.feature_paths  # type: ignore[assignment]
    assert torch.equal(features(folded, paths[0], x), features(model, "0", x))


def test_dropout_drops_again_in_training_mode_only() -> None:
    model = nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5))
    x = torch.ones(1, 4)

    folded = fold_batch_norm(model)

    assert torch.equal(folded(x), model.eval()(x))
    assert (folded.train()(x) == 0).any()


def features(model: nn.Module, path: str, images: Tensor) -> Tensor:
    seen: list[Tensor] = []
    hook = model.get_submodule(path).register_forward_hook(lambda *found: seen.append(found[2]))
    model(images)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("blocks", [("stage1.0.relu2", "pool"), ("stage1", "stage2.0.conv1")])
def test_the_blocks_give_the_same_features_after_folding(
    student: nn.Module, blocks: tuple[str, ...]
) -> None:
    student.blocks = blocks  # type: ignore[assignment]  # torch types attributes as tensors
    images = torch.randn((2, 3, 16, 16), generator=torch.Generator().manual_seed(1))

    folded = copy.deepcopy(fold_batch_norm(student))

    paths: tuple[str, ...] = folded.feature_paths  # type: ignore[assignment]
    assert len(paths) == len(blocks)
    for path, original in zip(paths, blocks, strict=True):
        # Float32 rounding over at most 10 layers.
        torch.testing.assert_close(
            features(folded, path, images), features(student, original, images), rtol=0, atol=1e-5
        )


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_that_branches_on_values_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="Branching cannot be traced"):
        fold_batch_norm(Branching())


def test_an_unknown_block_is_refused_by_name(student: nn.Module) -> None:
    student.blocks = ("stage9",)  # type: ignore[assignment]

    with pytest.raises(BadInput, match="stage9"):
        fold_batch_norm(student)


class StandardizedConv2d(nn.Conv2d):
    """A factor on its weight is lost; torch.fx cannot trace it."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[-1] > 1
        weight = self.weight / self.weight.std((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight if x.shape[-1] > 1 else self.weight, self.bias)


class RectifyingBatchNorm(nn.BatchNorm2d):
    """More than a BatchNorm; torch.fx cannot trace it."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return torch.relu(y) if x.shape[0] > 0 else y


@pytest.mark.parametrize(
    "parts",
    [
        lambda: (StandardizedConv2d(3, 8, 1), nn.BatchNorm2d(8)),
        lambda: (nn.BatchNorm2d(3), StandardizedConv2d(3, 8, 1)),
        lambda: (nn.Conv2d(3, 8, 1), RectifyingBatchNorm(8)),
    ],
    ids=["norm behind", "norm before", "norm"],
)
def test_a_subclass_that_cannot_be_traced_is_not_merged(
    parts: Callable[[], tuple[nn.Module, ...]],
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*parts()).eval()
    for module in model:
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var is not None
            nn.init.uniform_(module.running_var, 2, 3)
    images = torch.randn(2, 3, 8, 8)

    folded = fold_batch_norm(model)

    torch.testing.assert_close(folded(images), model(images))
