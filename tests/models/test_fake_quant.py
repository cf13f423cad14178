"""A fake-quantized network trains, repeats itself, and is stored whole in its state dict."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, fx, nn

from edgestill.models.errors import BadInput
from edgestill.models.fake_quant import calibrate, hold_ranges, points_of, prepare, report, set_grid
from edgestill.models.fold import fold_batch_norm
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

SPEC = WideResNet(blocks=(1, 1, 1), widths=(8, 8, 16), image_size=16)


def images(count: int = 16, seed: int = 0) -> Tensor:
    return torch.randn((count, 3, 16, 16), generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def folded() -> fx.GraphModule:
    return fold_batch_norm(build(SPEC, seed=0))


@pytest.fixture
def prepared(folded: fx.GraphModule) -> fx.GraphModule:
    made = prepare(folded)
    calibrate(made, [images()])
    return made


def steps(model: nn.Module, count: int) -> list[float]:
    """Losses of `count` training steps on fixed images and labels."""
    labels = torch.arange(16) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    model.train()
    for _ in range(count):
        loss = nn.functional.cross_entropy(model(images()), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's annotation is missing
        optimizer.step()
        losses.append(float(loss.detach()))
    model.eval()
    return losses


def test_quantization_error_is_small_and_not_zero(
    folded: fx.GraphModule, prepared: fx.GraphModule
) -> None:
    x = images(seed=1)

    error = (prepared(x) - folded(x)).square().mean()

    # 8 bits of signal-to-noise per rounding is 40 dB and more; 10 layers of them leave over 20 dB.
    assert 0 < error < 0.01 * folded(x).square().mean()


def test_every_weight_gets_a_gradient_and_training_lowers_the_loss(
    prepared: fx.GraphModule,
) -> None:
    losses = steps(prepared, 15)

    assert all(
        weight.grad is not None and weight.grad.abs().sum() > 0 for weight in prepared.parameters()
    )
    assert losses[-1] < losses[0]


def test_training_twice_gives_the_same_bits(folded: fx.GraphModule) -> None:
    ends = []
    for _ in range(2):
        made = prepare(folded)
        calibrate(made, [images()])
        steps(made, 3)
        ends.append(made.state_dict())

    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_the_state_dict_survives_safetensors(
    folded: fx.GraphModule, prepared: fx.GraphModule, tmp_path: Path
) -> None:
    steps(prepared, 2)
    save_file(prepared.state_dict(), tmp_path / "student_int8.safetensors")

    again = prepare(folded)
    again.load_state_dict(load_file(tmp_path / "student_int8.safetensors"))

    assert torch.equal(again(images(seed=1)), prepared(images(seed=1)))


def test_float_weights_keep_their_names(folded: fx.GraphModule, prepared: fx.GraphModule) -> None:
    assert [name for name, _ in prepared.named_parameters()] == [
        name for name, _ in folded.named_parameters()
    ]


def test_held_ranges_do_not_move_in_training(prepared: fx.GraphModule) -> None:
    before = [point.amax.clone() for point in points_of(prepared)]
    hold_ranges(prepared)

    steps(prepared, 2)

    assert all(
        torch.equal(old, point.amax) for old, point in zip(before, points_of(prepared), strict=True)
    )


def test_the_finer_grid_of_onnx_runtime_is_closer_to_float(
    folded: fx.GraphModule, prepared: fx.GraphModule
) -> None:
    x, errors = images(64, seed=1), {}

    for grid in ("training", "ort-x86"):
        set_grid(prepared, grid)
        errors[grid] = (prepared(x) - folded(x)).square().mean()

    assert errors["ort-x86"] < errors["training"]


def test_the_features_to_distill_are_still_named(prepared: fx.GraphModule) -> None:
    assert prepared.feature_paths == build(SPEC, seed=0).blocks


def test_the_report_counts_layers_and_says_why_others_stay_float() -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3), nn.PReLU(), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 4, 2, groups=2)
    )

    found = report(prepare(fold_batch_norm(model), keep_float=["0"]))

    assert found == {
        "quantized": 0,
        "float": [
            "0 (Conv2d): asked for by keep_float",
            "1 (PReLU): no quantized form of PReLU",
            "2 (BatchNorm2d): it normalizes 1, which is no convolution or linear layer",
            "3 (ConvTranspose2d): in 2 groups no axis of its weight counts its output channels",
        ],
        "untraced": [],
    }


class Attention(nn.Module):
    """torch's own attention, and a product of two activations."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.TransformerEncoderLayer(8, 2, 16)
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        z: Tensor = self.attention(y @ y.transpose(1, 2) @ y)
        return z


def test_layers_inside_a_module_of_torch_are_not_rounded() -> None:
    made = prepare(fold_batch_norm(Attention()))

    assert type(made.get_submodule("attention.linear1")) is nn.Linear
    found = report(made)
    assert found["quantized"] == 1
    assert found["float"] == [
        "matmul (matmul): a product of activations",
        "matmul_1 (matmul): a product of activations",
        "attention (TransformerEncoderLayer): no quantized form of TransformerEncoderLayer",
    ]


@fx.wrap
def windowed(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.linear = nn.Parameter(torch.eye(8)), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return windowed(self.linear(x), self.weight)


def test_a_function_that_is_not_traced_is_named_if_it_reads_weights() -> None:
    found = report(prepare(fold_batch_norm(Wrapped())))

    assert found["float"] == ["windowed (windowed): a function that is not traced reads weights"]


def test_a_layer_kept_in_float_computes_as_it_did(folded: fx.GraphModule) -> None:
    made = prepare(folded, keep_float=["fc"])
    weight = folded.get_parameter("fc.weight")

    assert type(made.get_submodule("fc")) is nn.Linear
    assert torch.equal(made.get_parameter("fc.weight"), weight)


def test_fewer_bits_give_fewer_weight_codes(folded: fx.GraphModule) -> None:
    made = prepare(folded, bits=4)

    codes = made.get_submodule("fc").quantized_weight()[0].unique()  # type: ignore[operator]

    assert 2 < len(codes) <= 15


@pytest.mark.parametrize("bits", [1, 16])
def test_a_width_that_int8_cannot_hold_is_refused(folded: fx.GraphModule, bits: int) -> None:
    with pytest.raises(BadInput, match=f"{bits}-bit"):
        prepare(folded, bits=bits)


def test_an_unknown_grid_is_refused_with_the_known_ones(prepared: fx.GraphModule) -> None:
    with pytest.raises(BadInput, match=r"'cuda'.*ort-x86"):
        set_grid(prepared, "cuda")  # type: ignore[arg-type]
