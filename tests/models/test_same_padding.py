"""The "same" padding of TensorFlow, against its definition and against timm."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgestill.models.same_padding import SamePad2d

SIZES = st.integers(1, 40)


@given(SIZES, SIZES, st.integers(1, 7), st.integers(1, 4), st.integers(1, 3))
def test_a_convolution_behind_it_gives_one_row_per_stride(
    height: int, width: int, kernel: int, stride: int, dilation: int
) -> None:
    pad = SamePad2d((kernel, kernel), (stride, stride), (dilation, dilation))
    conv = nn.Conv2d(1, 1, kernel, stride=stride, dilation=dilation)

    rows, columns = conv(pad(torch.zeros(1, 1, height, width))).shape[-2:]

    assert (rows, columns) == (math.ceil(height / stride), math.ceil(width / stride))


def test_the_odd_row_of_zeros_is_added_below_and_right() -> None:
    padded = SamePad2d((3, 3), (2, 2), (1, 1))(torch.ones(1, 1, 2, 4))

    assert padded[0, 0].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize("size", [(7, 8), (31, 33), (1, 2)])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 2, 1), (5, 2, 2), (2, 3, 1)])
def test_it_pads_as_timm_does(
    size: tuple[int, int], kernel: int, stride: int, dilation: int
) -> None:
    padding = pytest.importorskip("timm.layers.padding", reason="timm is not installed")
    x = torch.randn((1, 2, *size), generator=torch.Generator().manual_seed(0))
    sizes = (kernel, kernel), (stride, stride), (dilation, dilation)

    assert torch.equal(SamePad2d(*sizes)(x), padding.pad_same(x, *sizes))
