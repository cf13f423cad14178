"""Epochs of batches: what they hold, what they drop, and that chance comes from the seed alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgestill.pipeline.batches import Batches
from edgestill.pipeline.pixels import Resident

CPU = torch.device("cpu")


def batches(count: int = 100, **changes: object) -> Batches:
    """`count` pictures of 4x4; picture n is filled with n, its label is n."""
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
    plain = Batches(
        pixels=Resident(images=images.contiguous()),
        labels=np.arange(count),
        batch_size=32,
        mean=(0.0, 0.0, 0.0),
        std=(1 / 255, 1 / 255, 1 / 255),  # a normalised pixel is its byte
        device=CPU,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def labels_of(epoch: object) -> list[int]:
    return torch.cat([labels for _, labels in epoch]).tolist()  # type: ignore[attr-defined]


def test_a_plain_pass_holds_every_image_in_order() -> None:
    passed = list(batches())
    assert [len(images) for images, _ in passed] == [32, 32, 32, 4]
    assert labels_of(passed) == list(range(100))
    assert len(batches()) == 4
    assert batches().images == 100


def test_images_stay_with_their_labels_when_shuffled() -> None:
    for images, labels in batches(shuffle=True).epoch(0):
        assert images.dtype == torch.float32
        # mean 0 and std 1/255 give the byte back, up to the rounding of 1/255 in float32
        torch.testing.assert_close(images[:, 0, 0, 0], labels.float(), rtol=1e-6, atol=0)


def test_training_drops_what_fills_no_batch() -> None:
    training = batches(shuffle=True)
    seen = labels_of(training.epoch(0))
    assert (len(training), training.images, len(seen)) == (3, 96, 96)
    assert len(set(seen)) == 96


def test_other_images_are_dropped_in_other_epochs() -> None:
    training = batches(shuffle=True)
    missed = [set(range(100)) - set(labels_of(training.epoch(epoch))) for epoch in range(2)]
    assert missed[0] != missed[1]


def test_a_split_below_one_batch_is_one_batch() -> None:
    training = batches(10, shuffle=True)
    assert (len(training), training.images) == (1, 10)
    assert sorted(labels_of(training.epoch(0))) == list(range(10))


def test_an_epoch_can_be_had_again_alone() -> None:
    training = batches(shuffle=True, crop=2, flip=True).seeded(5)
    for epoch in range(2):
        list(training.epoch(epoch))
    first, again = (
        list(training.epoch(2)),
        list(batches(shuffle=True, crop=2, flip=True, seed=5).epoch(2)),
    )
    for (images, labels), (images_again, labels_again) in zip(first, again, strict=True):
        assert torch.equal(images, images_again)
        assert torch.equal(labels, labels_again)


@pytest.mark.parametrize("other", [(6, 2), (5, 3)])
def test_another_seed_or_epoch_is_another_order(other: tuple[int, int]) -> None:
    training = batches(shuffle=True)
    seed, epoch = other
    assert labels_of(training.epoch(2, seed=5)) != labels_of(training.epoch(epoch, seed=seed))


def test_the_seed_of_torch_changes_nothing() -> None:
    training = batches(shuffle=True, crop=2, flip=True)
    passes = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        passes.append(torch.cat([images for images, _ in training.epoch(0)]))
    assert torch.equal(*passes)


def test_a_plain_view_of_training_has_neither_order_nor_moves() -> None:
    training = batches(shuffle=True, crop=2, flip=True)
    plain = list(training.plain())
    assert labels_of(plain) == list(range(100))
    torch.testing.assert_close(plain[0][0][7], torch.full((3, 4, 4), 7.0), rtol=1e-6, atol=0)


def test_crops_move_images() -> None:
    moved = torch.cat([images for images, _ in batches(shuffle=True, crop=2).epoch(0)])
    assert (moved == 0).flatten(1).any(1).float().mean() > 0.5  # black borders came in


def test_some_images_come_in_the_order_asked_for() -> None:
    images, labels = batches(shuffle=True, crop=2).some([40, 3, 40])
    assert labels.tolist() == [40, 3, 40]
    torch.testing.assert_close(images[:, 0, 0, 0], labels.float(), rtol=1e-6, atol=0)
