"""Batch statistics over two processes are those of nn.BatchNorm with the joined batch.

This file is also the program of those processes: `main(folder, rank, count)` leaves in the folder
what process `rank` of `count` found; of 1 it uses plain torch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from edgestill.models.fold import fold_batch_norm
from edgestill.models.global_statistics import over_processes
from edgestill.models.quantized_layers import FakeQuantize

BATCH, CHANNELS = 6, 5


class NormThenAct(nn.BatchNorm2d):
    """A forward of its own around `functional.batch_norm`, as in timm's BatchNormAct2d."""

    def forward(self, x: Tensor) -> Tensor:
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked.add_(1)
        y = functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )
        return functional.silu(y)


# What a channel's values look like, per case: (module, dimensions of a sample, mean, deviation)
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], float, float]] = {
    "2d": (lambda: nn.BatchNorm2d(CHANNELS), (4, 3), 0.5, 2.0),
    "vectors": (lambda: nn.BatchNorm1d(CHANNELS), (), 0.5, 2.0),
    "1d": (lambda: nn.BatchNorm1d(CHANNELS, eps=0.1), (7,), 0.5, 2.0),
    "3d": (lambda: nn.BatchNorm3d(CHANNELS), (2, 2, 2), 0.5, 2.0),
    "momentum 0.3": (lambda: nn.BatchNorm2d(CHANNELS, momentum=0.3), (4, 3), 0.5, 2.0),
    "cumulative": (lambda: nn.BatchNorm2d(CHANNELS, momentum=None), (4, 3), 0.5, 2.0),
    "not affine": (lambda: nn.BatchNorm2d(CHANNELS, affine=False), (4, 3), 0.5, 2.0),
    "not tracking": (
        lambda: nn.BatchNorm2d(CHANNELS, track_running_stats=False),
        (4, 3),
        0.5,
        2.0,
    ),
    "with its activation": (lambda: NormThenAct(CHANNELS), (4, 3), 0.5, 2.0),
    # Squares of 1e8 have no digit left for a variance of 1 in float32.
    "far from zero": (lambda: nn.BatchNorm2d(CHANNELS), (4, 3), 1e4, 1.0),
    "synchronised": (lambda: nn.SyncBatchNorm(CHANNELS), (4, 3), 0.5, 2.0),
}

Found = dict[str, Tensor]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("what", ["output", "gradient"])
def test_values_and_their_gradients_are_those_of_the_joined_batch(
    found: dict[str, Found], case: str, what: str
) -> None:
    key = f"{case} {what}"

    joined = torch.cat((found["0"][key], found["1"][key]))

    # float32; 1e4 has 1e-3 between neighbours, so an output of about 1 has three digits less.
    tolerance = 1e-5 if case != "far from zero" else 2e-3
    assert_close(joined, found["alone"][key], rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", [case for case in CASES if case != "not affine"])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_the_parameters_gradients_are_shares_of_the_joined_batchs(
    found: dict[str, Found], case: str, name: str
) -> None:
    key = f"{case} gradient of {name}"

    total = found["0"][key] + found["1"][key]

    tolerance = 1e-4 if case != "far from zero" else 0.05  # sums over 72 values of size 1
    assert_close(total, found["alone"][key], rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", [case for case in CASES if case != "not tracking"])
def test_running_statistics_are_those_of_the_joined_batch(
    found: dict[str, Found], case: str
) -> None:
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        alone = found["alone"][f"{case} {name}"]

        # A shard's mean near 1e4 is known to 1e-3, and its distance from the joined one with it.
        tolerance = 1e-5 if case != "far from zero" else 2e-4
        assert_close(found["0"][f"{case} {name}"], alone, rtol=tolerance, atol=1e-6)
        assert torch.equal(found["1"][f"{case} {name}"], found["0"][f"{case} {name}"])


def test_half_precision_is_normalised_in_float32_and_stays_half(found: dict[str, Found]) -> None:
    halves = torch.cat((found["0"]["half output"], found["1"]["half output"]))

    assert halves.dtype == torch.bfloat16
    assert_close(halves, found["alone"]["half output"], rtol=2**-7, atol=2**-8)  # one rounding


@pytest.mark.parametrize("signed", [True, False])
def test_a_quantization_range_follows_the_largest_value_of_all_processes(
    found: dict[str, Found], signed: bool
) -> None:
    # Ranges start at 1 and take a quarter of the batch's largest: |-7| where signed, 5 where not.
    expected = torch.tensor(1 + 0.25 * ((7 if signed else 5) - 1))

    assert_close(found["0"][f"range {signed}"], expected)
    assert_close(found["1"][f"range {signed}"], expected)


def test_in_eval_mode_nothing_is_exchanged() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2)).eval()
    images = torch.randn(2, 2, 3, 3)
    before = model(images)

    with over_processes(model):  # there is no process group: an exchange would fail
        within = model(images)

    assert torch.equal(within, before)


def test_afterwards_the_network_is_the_one_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), NormThenAct(4))
    kinds, state = [type(each) for each in model], copy.deepcopy(model.state_dict())
    folded = len(list(fold_batch_norm(model).modules()))

    with over_processes(model):
        pairs = list(zip(model, kinds, strict=True))
        assert all(isinstance(each, kind) for each, kind in pairs)
        assert [type(each) is kind for each, kind in pairs] == [True, False, True, False]
        names = list(model.state_dict())

    assert [type(each) for each in model] == kinds
    assert names == list(state)
    assert_close(model.state_dict(), state, rtol=0, atol=0)
    assert len(list(fold_batch_norm(model).modules())) == folded


def test_a_network_of_timm_with_its_own_batch_norms_computes_as_it_does_alone(
    tmp_path: Path,
) -> None:
    import timm
    import torch.distributed as dist

    network = timm.create_model("mobilenetv3_small_050", num_classes=4).double().train()
    images, plain = torch.randn(4, 3, 32, 32, dtype=torch.float64), copy.deepcopy(network)
    expected = plain(images)

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        with over_processes(network):
            kinds = {type(each).__name__ for each in network.modules()}
            found = network(images)
    finally:
        dist.destroy_process_group()

    assert "GlobalBatchNormAct2d" in kinds and "BatchNormAct2d" not in kinds
    assert_close(found, expected, rtol=0, atol=1e-10)  # float64, 34 norms
    assert_close(network.state_dict(), plain.state_dict(), rtol=0, atol=1e-10)


def test_a_network_is_put_back_also_after_a_failure() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2))

    with pytest.raises(KeyError), over_processes(model):
        raise KeyError

    assert type(model[0]) is nn.BatchNorm2d


def main(folder: Path, rank: int, count: int) -> None:
    from contextlib import nullcontext

    import torch.distributed as dist

    several = count > 1
    if several:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=count
        )
    mine = slice(rank * BATCH // count, (rank + 1) * BATCH // count)
    left: Found = {}
    for name, (build, dims, mean, deviation) in CASES.items():
        torch.manual_seed(1)
        # Each channel's own size, and shards of different means: what a mean of means would miss.
        sizes = torch.linspace(0.5, 1.5, CHANNELS).view(1, -1, *[1] * len(dims))
        drift = torch.linspace(-1, 1, BATCH).view(-1, 1, *[1] * len(dims))
        values = mean + deviation * sizes * (torch.randn(BATCH, CHANNELS, *dims) + drift)
        asked = torch.randn(BATCH, CHANNELS, *dims)
        module = build().train()
        for parameter in module.parameters():
            nn.init.uniform_(parameter, 0.5, 1.5)
        shard = values[mine].clone().requires_grad_()
        with over_processes(module) if several else nullcontext():
            module(values[mine].flip(0))  # two steps, for the running statistics
            output = module(shard)
        (output * asked[mine]).sum().backward()
        assert shard.grad is not None
        left |= {f"{name} output": output.detach(), f"{name} gradient": shard.grad}
        left |= {f"{name} {key}": value for key, value in module.named_buffers()}
        for key, parameter in module.named_parameters():
            assert parameter.grad is not None
            left[f"{name} gradient of {key}"] = parameter.grad
    left |= _half(mine, several) | (_ranges(rank) if several else {})
    save_file({key: each.contiguous() for key, each in left.items()}, folder / f"{rank}-{count}.st")
    if several:
        dist.destroy_process_group()


def _half(mine: slice, several: bool) -> Found:
    from contextlib import nullcontext

    torch.manual_seed(2)
    values = torch.randn(BATCH, CHANNELS, 4, 4).bfloat16()
    module = nn.BatchNorm2d(CHANNELS).train()
    with over_processes(module) if several else nullcontext():
        return {"half output": module(values[mine]).detach()}


def _ranges(rank: int) -> Found:
    left = {}
    for signed in (True, False):
        point = FakeQuantize("x", signed=signed, tensorrt=True, momentum=0.25).train()
        point.amax.fill_(1.0)
        with over_processes(point):
            point(torch.tensor([[-7.0, 2.0], [0.0, 5.0]][rank]))
        left[f"range {signed}"] = point.amax
    return left
