"""Whole-batch crop, flip and normalisation against torchvision, image by image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as reference

from edgestill.pipeline.augment import (
    Moves,
    crop_and_flip,
    draw_moves,
    normalize,
    scale_and_shift,
)

CPU = torch.device("cpu")
MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)


def pictures(count: int, size: int = 9) -> torch.Tensor:
    values = np.random.default_rng(0).integers(0, 256, (count, 3, size, size), np.uint8)
    return torch.from_numpy(values)


@pytest.mark.parametrize("crop", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
def test_a_batch_moves_as_torchvision_moves_each_image(crop: int, flip: bool) -> None:
    images = pictures(64)
    moves = draw_moves(64, crop=crop, flip=flip, seed=(3,), device=CPU)
    moved = crop_and_flip(images, moves, crop=crop)
    for image, got, down, right, mirrored in zip(
        images, moved, moves.down.tolist(), moves.right.tolist(), moves.flip, strict=True
    ):
        padded = reference.pad(image, [crop] * 4)
        expected = reference.crop(padded, down, right, 9, 9)
        assert torch.equal(got, reference.hflip(expected) if mirrored else expected)


def test_every_offset_and_both_mirrors_occur_equally_often() -> None:
    moves = draw_moves(81_000, crop=4, flip=True, seed=(0,), device=CPU)
    offsets = torch.bincount(moves.down * 9 + moves.right, minlength=81)
    # 1,000 expected in each of 81 cells; 5 standard deviations are 158.
    assert (offsets - 1000).abs().max() < 158
    assert abs(int(moves.flip.sum()) - 40_500) < 5 * 142


def test_the_mirror_is_drawn_apart_from_the_offset() -> None:
    moves = draw_moves(20_000, crop=4, flip=True, seed=(0,), device=CPU)
    both = torch.stack([moves.down.double(), moves.right.double(), moves.flip.double()])
    # Independent draws correlate by chance alone: 5 standard deviations of 1 / sqrt(20000).
    assert (torch.corrcoef(both) - torch.eye(3)).abs().max() < 0.036


def test_without_flip_nothing_is_mirrored() -> None:
    assert not draw_moves(1000, crop=4, flip=False, seed=(0,), device=CPU).flip.any()


def test_moves_of_a_part_are_those_of_the_whole() -> None:
    moves = draw_moves(10, crop=4, flip=True, seed=(0,), device=CPU)
    images = pictures(10)
    whole = crop_and_flip(images, moves, crop=4)
    assert torch.equal(crop_and_flip(images[3:7], moves.part(3, 7), crop=4), whole[3:7])


def test_the_middle_offset_leaves_the_image_where_it_was() -> None:
    images = pictures(2)
    four, no = torch.full((2,), 4), torch.zeros(2, dtype=torch.bool)
    assert torch.equal(crop_and_flip(images, Moves(down=four, right=four, flip=no), crop=4), images)


def test_normalisation_is_torchvisions() -> None:
    images = pictures(8)
    scale, shift = scale_and_shift(MEAN, STD, device=CPU)
    expected = reference.normalize(images.double() / 255, list(MEAN), list(STD))
    # Values up to 2.2 in float32 after one product and one sum; the largest seen is 3.6e-7.
    torch.testing.assert_close(
        normalize(images, scale, shift).double(), expected, rtol=0, atol=6e-7
    )


def test_normalisation_leaves_the_pixels_as_they_were() -> None:
    images = pictures(2)
    before = images.clone()
    normalize(images, *scale_and_shift(MEAN, STD, device=CPU))
    assert torch.equal(images, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_sees_the_views_of_a_cpu() -> None:
    images = pictures(64)
    views = []
    for device in (CPU, torch.device("cuda")):
        moves = draw_moves(64, crop=4, flip=True, seed=(3,), device=device)
        views.append(crop_and_flip(images.to(device), moves, crop=4).cpu())
    assert torch.equal(*views)
