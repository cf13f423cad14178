"""A split's images as uint8 (N, 3, S, S): resident on the device, or decoded ahead by threads.

Both kinds are filled by the same `Reader`, so they hand out the same bytes in the same order.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..models.errors import BadInput
from .events import emit
from .sources.decode import resized
from .sources.split import Split

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

CHUNK = 256
"""Images a thread decodes before it reports: 16 ms of CIFAR JPEGs."""


class Pixels(Protocol):
    """Images of one split, by position."""

    def __len__(self) -> int:
        """N."""
        ...

    def batches(self, picks: NDArray[np.int64], size: int) -> Iterator[Tensor]:
        """The picked images in that order, `size` at a time: uint8 (B, 3, S, S) on the device."""
        ...


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size that every image of a set must have, and the image that set it."""

    height: int
    width: int
    where: str


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Some rows of a split, decoded and brought to (3, S, S)."""

    split: Split
    rows: NDArray[np.int64]
    """Rows of the split, (N,): position p of the reader is row rows[p] of the source."""
    image_size: int
    """S."""
    shape: Shape | None
    """None: any size is taken and resized."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """What all images take as uint8."""
        return len(self) * 3 * self.image_size**2

    def read(self, picks: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images at these positions, (n, 3, S, S), or `BadInput` naming file and row."""
        import numpy as np

        out = np.empty((len(picks), 3, self.image_size, self.image_size), np.uint8)
        for slot, row in enumerate(self.rows[picks].tolist()):
            pixels = self.split.read(row)
            height, width, _ = pixels.shape
            if self.shape and (height, width) != (self.shape.height, self.shape.width):
                raise BadInput(
                    f"{self.split.where(row)}: image is {width}x{height}, but {self.shape.where} is"
                    f" {self.shape.width}x{self.shape.height}; set data.resize = true to bring all"
                    f" to {self.image_size}x{self.image_size}"
                )
            out[slot] = resized(pixels, self.image_size).transpose(2, 0, 1)
        return out


@dataclass(frozen=True, kw_only=True)
class Resident:
    """Every image of the split on the device; a batch is one indexing there."""

    images: Tensor
    """uint8 (N, 3, S, S)."""

    @classmethod
    def filled(cls, reader: Reader, *, device: torch.device, label: str) -> Resident:
        """All images of the reader, decoded by one thread a core; emits `progress`."""
        import numpy as np
        import torch

        size = reader.image_size
        out = np.empty((len(reader), 3, size, size), np.uint8)

        def fill(start: int) -> None:
            picks = np.arange(start, min(start + CHUNK, len(reader)))
            out[start : start + CHUNK] = reader.read(picks)

        progress = Progress(label, len(reader))
        pool = ThreadPoolExecutor(workers(), thread_name_prefix="edgestill-decode")
        try:
            futures = [pool.submit(fill, start) for start in range(0, len(reader), CHUNK)]
            for future in futures:  # in order, so that the first bad row is the one named
                future.result()
                progress.advance(CHUNK)
        finally:
            pool.shutdown(cancel_futures=True)
        return cls(images=torch.from_numpy(out).to(device))

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, picks: NDArray[np.int64], size: int) -> Iterator[Tensor]:
        """The order goes to the device once; after that nothing waits for the host."""
        import torch

        order = torch.from_numpy(picks).to(self.images.device)
        for start in range(0, len(picks), size):
            yield self.images.index_select(0, order[start : start + size])


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """Images decoded as they are needed, each thread a batch, a few batches ahead."""

    reader: Reader
    device: torch.device

    def __len__(self) -> int:
        return len(self.reader)

    def batches(self, picks: NDArray[np.int64], size: int) -> Iterator[Tensor]:
        """Memory stays below (threads + 2) batches; leaving early stops the threads."""
        starts = deque(range(0, len(picks), size))
        ahead: deque[Future[NDArray[np.uint8]]] = deque()
        pool = ThreadPoolExecutor(workers(), thread_name_prefix="edgestill-decode")
        try:
            while starts or ahead:
                while starts and len(ahead) < workers() + 1:
                    start = starts.popleft()
                    ahead.append(pool.submit(self.reader.read, picks[start : start + size]))
                yield self._moved(ahead.popleft().result())
        finally:
            pool.shutdown(cancel_futures=True)

    def _moved(self, images: NDArray[np.uint8]) -> Tensor:
        import torch

        tensor = torch.from_numpy(images)
        if self.device.type != "cuda":
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)


def pixels_for(
    reader: Reader, *, device: torch.device, resident_bytes: int | None, label: str
) -> Pixels:
    """`Resident` where the images fit into `resident_bytes`, else `Streamed`.

    None stands for half of what is free on a GPU at this moment, and 2 GiB elsewhere.
    """
    import torch

    if resident_bytes is None:
        on_gpu = device.type == "cuda"
        resident_bytes = torch.cuda.mem_get_info(device)[0] // 2 if on_gpu else 2**31
    if reader.nbytes <= resident_bytes:
        return Resident.filled(reader, device=device, label=label)
    emit("note", text=f"{label}: {reader.nbytes / 1e9:.1f} GB do not fit, streamed from the source")
    return Streamed(reader=reader, device=device)


def channel_statistics(
    pixels: Pixels, *, image_size: int, label: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) per channel over all images, in units of 0 .. 1, by one pass in exact integers.

    Exact sums make the figures the same on every device and in every order. A channel that never
    varies gets std 1, so that dividing by it does nothing.
    """
    import numpy as np
    import torch

    # 4 MiB of uint8 at a time: the int64 copy that the sums need is eight times as large.
    size = max(2**22 // (3 * image_size**2), 1)
    total = torch.zeros(2, 3, dtype=torch.int64)
    progress = Progress(label, len(pixels))
    for images in pixels.batches(np.arange(len(pixels)), size):
        wide = images.to(torch.int64)
        total += torch.stack((wide.sum((0, 2, 3)), (wide * wide).sum((0, 2, 3)))).cpu()
        progress.advance(len(images))
    count = len(pixels) * image_size**2
    sums, squares = total.tolist()
    mean = tuple(one / count / 255 for one in sums)
    std = tuple(
        (count * square - one * one) ** 0.5 / count / 255 or 1.0
        for one, square in zip(sums, squares, strict=True)
    )
    return mean, std


def workers() -> int:
    """Threads that decode: one for each core this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Progress:
    """`progress` events about a pass over images: at most five a second, and the end of it."""

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total, self._done = label, total, 0
        self._told_at = time.monotonic()
        self._told = False

    def advance(self, images: int) -> None:
        """Count `images` more; a pass that is over within 0.2 s says nothing at all."""
        self._done = min(self._done + images, self._total)
        now = time.monotonic()
        ends = self._told and self._done == self._total
        if ends or now - self._told_at >= 0.2:
            self._told, self._told_at = True, now
            emit("progress", label=self._label, done=self._done, total=self._total, unit="images")
