"""Resident and streamed images: the same bytes, bounded memory, errors in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from edgestill.models.errors import BadInput
from edgestill.pipeline.events import JSON, listening
from edgestill.pipeline.pixels import (
    CHUNK,
    Pixels,
    Progress,
    Reader,
    Resident,
    Shape,
    Streamed,
    channel_statistics,
    pixels_for,
    workers,
)
from edgestill.pipeline.sources.split import Split

CPU = torch.device("cpu")
PICTURES = np.random.default_rng(0).integers(0, 256, (700, 6, 6, 3), np.uint8)


def reader(read: Callable[[int], Any] = PICTURES.__getitem__, size: int = 6) -> Reader:
    split = Split(
        labels=np.zeros(len(PICTURES), np.int64),
        class_names=("a", "b"),
        read=read,
        where=lambda row: f"file, row {row}",
    )
    shape = Shape(height=6, width=6, where="file, row 0")
    return Reader(split=split, rows=np.arange(1, 700, 2), image_size=size, shape=shape)


def decoding_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("edgestill-decode")]


def test_resident_images_are_the_rows_of_the_reader() -> None:
    held = Resident.filled(reader(), device=CPU, label="training")
    expected = PICTURES[1::2].transpose(0, 3, 1, 2)
    assert np.array_equal(held.images.numpy(), expected)


@pytest.mark.parametrize("size", [1, 64, 349, 350, 1000])
def test_streamed_batches_are_the_resident_ones(size: int) -> None:
    picks = np.random.default_rng(1).permutation(350)
    streamed = list(Streamed(reader=reader(), device=CPU).batches(picks, size))
    resident = list(Resident.filled(reader(), device=CPU, label="").batches(picks, size))
    assert len(streamed) == len(resident) == -(-350 // size)
    assert all(torch.equal(*pair) for pair in zip(streamed, resident, strict=True))


def test_streaming_decodes_only_a_few_batches_ahead() -> None:
    read: list[int] = []

    def counted(row: int) -> Any:
        read.append(row)
        return PICTURES[row]

    batches = Streamed(reader=reader(counted), device=CPU).batches(np.arange(350), 10)
    for _ in range(3):
        next(batches)
    taken = len(read)
    batches.close()  # type: ignore[attr-defined]  # an iterator to users, a generator in fact
    assert 30 <= taken <= 10 * (3 + workers() + 1)


def test_leaving_a_stream_early_stops_its_threads() -> None:
    batches = Streamed(reader=reader(), device=CPU).batches(np.arange(350), 10)
    next(batches)
    assert decoding_threads()
    batches.close()  # type: ignore[attr-defined]
    assert not decoding_threads()


@pytest.mark.parametrize("limit", [2**20, 0])
def test_the_first_bad_row_is_the_one_named(limit: int) -> None:
    def broken(row: int) -> Any:
        if row >= 301:
            raise BadInput(f"file, row {row}: broken")
        return PICTURES[row]

    def all_of_it(pixels: Pixels) -> None:
        list(pixels.batches(np.arange(350), 16))

    with pytest.raises(BadInput, match="file, row 301: broken"):
        all_of_it(pixels_for(reader(broken), device=CPU, resident_bytes=limit, label=""))
    assert not decoding_threads()


def test_images_are_resident_up_to_the_limit_and_streamed_beyond() -> None:
    needed = 350 * 3 * 6 * 6
    fits = pixels_for(reader(), device=CPU, resident_bytes=needed, label="")
    heard: list[str] = []
    with listening(lambda kind, fields: heard.append(kind)):
        beyond = pixels_for(reader(), device=CPU, resident_bytes=needed - 1, label="")
    assert isinstance(fits, Resident)
    assert isinstance(beyond, Streamed)
    assert heard == ["note"]


def test_another_size_is_refused_with_both_places() -> None:
    odd = np.zeros((6, 7, 3), np.uint8)
    mixed = reader(lambda row: odd if row == 5 else PICTURES[row])
    message = "file, row 5: image is 7x6, but file, row 0 is 6x6; set data.resize = true"
    with pytest.raises(BadInput, match=message):
        mixed.read(np.arange(10))


@pytest.mark.parametrize("limit", [2**20, 0])
def test_channel_statistics_are_those_of_the_rows_read(limit: int) -> None:
    pixels = pixels_for(reader(), device=CPU, resident_bytes=limit, label="")
    mean, std = channel_statistics(pixels, image_size=6, label="")
    held = PICTURES[1::2].astype(np.float64) / 255
    # Both are exact to float64 rounding.
    np.testing.assert_allclose(mean, held.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, held.std((0, 1, 2)), rtol=1e-12)


def test_a_channel_that_never_varies_is_divided_by_one() -> None:
    flat = Resident(images=torch.full((4, 3, 2, 2), 51, dtype=torch.uint8))
    mean, std = channel_statistics(flat, image_size=2, label="")
    assert mean == (0.2, 0.2, 0.2)
    assert std == (1.0, 1.0, 1.0)


def test_progress_is_told_at_most_five_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(step * 0.05 for step in range(100))
    monkeypatch.setattr("edgestill.pipeline.pixels.time.monotonic", lambda: next(now))
    heard: list[dict[str, JSON]] = []
    with listening(lambda kind, fields: heard.append(fields)):
        progress = Progress("training", CHUNK * 19 + 1)
        for _ in range(20):
            progress.advance(CHUNK)
    assert 4 <= len(heard) <= 6  # 20 steps of 0.05 s are one second
    last = {"label": "training", "done": CHUNK * 19 + 1, "total": CHUNK * 19 + 1, "unit": "images"}
    assert heard[-1] == last
