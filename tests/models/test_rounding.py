"""Whole-tensor passes give the numbers and gradients of torch's fused kernels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgestill.models.rounding import flat, passed_between, round_value, round_weight

GRIDS = [(0, 127), (0, 255), (-128, 127)]
seeds = st.integers(0, 2**31)
ranges = st.floats(2.0**-20, 2.0**20, width=32)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(seed=seeds, amax=ranges, grid=st.sampled_from(GRIDS))
@settings(max_examples=60, deadline=None)
def test_values_are_those_of_the_fused_kernel_bit_by_bit(
    seed: int, amax: float, grid: tuple[int, int]
) -> None:
    lowest, highest = grid
    step, zero = torch.tensor(amax) / highest, torch.tensor(0, dtype=torch.int32)
    x = drawn(seed, 2, 3, 5, 5) * amax

    ours = round_value(x, step, lowest, highest)

    theirs = torch.fake_quantize_per_tensor_affine(x, step, zero, lowest, highest)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("grid", GRIDS)
def test_ties_fall_as_in_the_fused_kernel(grid: tuple[int, int]) -> None:
    lowest, highest = grid
    x = torch.arange(-520, 521) * 0.5  # every half code of a step of one

    ours = round_value(x, torch.tensor(1.0), lowest, highest)

    zero = torch.tensor(0, dtype=torch.int32)
    theirs = torch.fake_quantize_per_tensor_affine(x, torch.tensor(1.0), zero, lowest, highest)
    assert torch.equal(ours, theirs)


@given(seed=seeds, bits=st.integers(2, 8), channels=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_weights_are_those_of_the_fused_kernel_bit_by_bit(
    seed: int, bits: int, channels: int
) -> None:
    highest = 2 ** (bits - 1) - 1
    weight = drawn(seed, channels, 3, 3, 3)
    steps = weight.flatten(1).abs().amax(dim=1) / highest

    ours = round_weight(weight, steps.reshape(-1, 1, 1, 1))

    zeros = torch.zeros(channels, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(weight, steps, zeros, 0, -highest, highest)
    assert torch.equal(ours, theirs)


def test_a_weight_gets_the_gradient_of_its_rounded_form() -> None:
    weight = drawn(0, 4, 3).requires_grad_()
    wanted = drawn(1, 4, 3)

    torch.autograd.backward(round_weight(weight, torch.full((4, 1), 0.1)), wanted)

    assert weight.grad is not None and torch.equal(weight.grad, wanted)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_the_fused_kernel(
    grid: tuple[int, int], layout: torch.memory_format
) -> None:
    lowest, highest = grid
    step, zero = torch.tensor(0.01), torch.tensor(0, dtype=torch.int32)
    x = drawn(0, 4, 6, 5, 5).contiguous(memory_format=layout)
    wanted = drawn(1, 4, 6, 5, 5)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()

    torch.autograd.backward(round_value(ours, step, lowest, highest), wanted)
    fused = torch.fake_quantize_per_tensor_affine(theirs, step, zero, lowest, highest)
    torch.autograd.backward(fused, wanted)

    assert ours.grad is not None and theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)
    assert 0 < int((ours.grad == 0).sum()) < x.numel()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_gradient_stops_outside_of_the_limits(device: str) -> None:
    x, gradient = drawn(0, 500).to(device), drawn(1, 500).to(device)
    low, high = torch.tensor(-0.5, device=device), torch.tensor(1.0, device=device)

    passed = passed_between(gradient, x, low, high)

    assert passed.shape == x.shape
    if device == "cpu":  # the other branch runs, without numbers, on a device that is no CPU
        assert torch.equal(passed, gradient * ((x > low) & (x < high)))


def test_channels_last_stays_so_and_is_read_without_a_copy() -> None:
    x = drawn(0, 2, 3, 4, 4).contiguous(memory_format=torch.channels_last)

    rounded = round_value(x, torch.tensor(1.0), -128, 127)

    assert rounded.is_contiguous(memory_format=torch.channels_last)
    assert flat(x).data_ptr() == x.data_ptr()
    assert torch.equal(flat(x).sort().values, x.flatten().sort().values)


def test_a_missing_range_gives_nan() -> None:
    assert round_value(torch.ones(3), torch.tensor(math.nan), 0, 127).isnan().all()
