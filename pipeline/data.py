"""The data of a recipe as three splits of batches; the test split is read when it is asked for.

The training split of the source is cut to `train_limit`, then a validation part is carved from it,
class by class and seeded. A source without a test split gives up a part for one first; its labels
are then read with the others, its images are not.

Sizes: where all images of a source have one size, they are resized to `image_size` (shorter side,
then the centre). Mixed sizes are refused, naming the first image that differs, unless
`resize = true` asks for the same treatment of each.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .batches import Batches
from .events import emit
from .pixels import Pixels, Reader, Shape, channel_statistics, pixels_for
from .recipe import DataSettings
from .sources import Source, open_source
from .splits import carve, seeded_order

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from .sources.split import Split

_TEST, _LIMIT, _VALIDATION, _TEST_LIMIT = range(4)  # independent draws from one seed


def open_data(
    settings: DataSettings,
    *,
    device: torch.device,
    base: Path,
    resident_bytes: int | None = None,
) -> Data:
    """The data, its training labels read and checked; `BadInput` names file and row.

    Relative paths start at `base`. A split whose uint8 images take more than `resident_bytes`
    (None: half the free memory of a GPU, 2 GiB elsewhere) is streamed.
    """
    source = open_source(settings.source, base=base, root=settings.root)
    return Data(settings, source, source.train(), device, resident_bytes)


class Data:
    """Training, validation and test batches of one source; each split is read when first used."""

    channels = 3

    def __init__(
        self,
        settings: DataSettings,
        source: Source,
        split: Split,
        device: torch.device,
        resident_bytes: int | None,
    ) -> None:
        import numpy as np

        self._settings, self._source, self._split = settings, source, split
        self.device, self._resident_bytes = device, resident_bytes
        self.class_names = split.class_names
        seed = settings.split_seed
        rows = np.arange(len(split))
        self._test_rows: NDArray[np.int64] | None = None
        if not source.has_test:
            rows, self._test_rows = carve(rows, split.labels, settings.test, seed=(seed, _TEST))
        rows = _limited(rows, settings.train_limit, seed=(seed, _LIMIT))
        self._train_rows, self._validation_rows = carve(
            rows, split.labels, settings.validation, seed=(seed, _VALIDATION)
        )
        if len(self._train_rows) < 2 or len(self._validation_rows) < 1:
            raise BadInput(
                f"{settings.source}: {len(rows)} images are left to train on, of which"
                f" data.validation = {settings.validation} takes {len(self._validation_rows)};"
                " expected two to train on and one to validate"
            )

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)

    @property
    def mean(self) -> tuple[float, ...]:
        """Per channel, in 0 .. 1: as given, else measured on the training images."""
        return self._settings.mean or self._statistics[0]

    @property
    def std(self) -> tuple[float, ...]:
        """Per channel, in 0 .. 1: as given, else measured on the training images."""
        return self._settings.std or self._statistics[1]

    @cached_property
    def train(self) -> Batches:
        """Shuffled, cropped and flipped; `.plain()` gives the same images in order."""
        settings = self._settings
        return self._batches(
            self._train_pixels,
            self._split.labels[self._train_rows],
            shuffle=True,
            crop=settings.crop,
            flip=settings.flip,
        )

    @cached_property
    def validation(self) -> Batches:
        """Plain batches of the part carved from the training split."""
        rows = self._validation_rows
        return self._batches(
            self._pixels(self._split, rows, "validation"), self._split.labels[rows]
        )

    @cached_property
    def test(self) -> Batches:
        """Plain batches of the test split. Nothing of it is read before this is asked for."""
        settings = self._settings
        split, rows = self._split, self._test_rows
        if rows is None:
            import numpy as np

            split = self._source.test(self.class_names)
            rows = np.arange(len(split))
        rows = _limited(rows, settings.test_limit, seed=(settings.split_seed, _TEST_LIMIT))
        if len(rows) == 0:
            raise BadInput(
                f"{settings.source}: data.test = {settings.test} of {len(split)} images leaves none"
                " to test on"
            )
        return self._batches(self._pixels(split, rows, "test"), split.labels[rows])

    @cached_property
    def _train_pixels(self) -> Pixels:
        return self._pixels(self._split, self._train_rows, "training")

    @cached_property
    def _statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        size = self._settings.image_size
        return channel_statistics(self._train_pixels, image_size=size, label="mean and deviation")

    @cached_property
    def _shape(self) -> Shape | None:
        """The size all images are held to: that of the first training image."""
        settings = self._settings
        if settings.resize:
            return None
        row = int(self._train_rows[0])
        height, width, _ = self._split.read(row).shape
        size = settings.image_size
        if (height, width) != (size, size):
            emit("note", text=f"images of {width}x{height} are resized to {size}x{size}")
        return Shape(height=height, width=width, where=self._split.where(row))

    def _pixels(self, split: Split, rows: NDArray[np.int64], name: str) -> Pixels:
        reader = Reader(
            split=split, rows=rows, image_size=self._settings.image_size, shape=self._shape
        )
        return pixels_for(
            reader,
            device=self.device,
            resident_bytes=self._resident_bytes,
            label=f"{name} images",
        )

    def _batches(
        self,
        pixels: Pixels,
        labels: NDArray[np.int64],
        *,
        shuffle: bool = False,
        crop: int = 0,
        flip: bool = False,
    ) -> Batches:
        return Batches(
            pixels=pixels,
            labels=labels,
            batch_size=self._settings.batch_size,
            mean=self.mean,
            std=self.std,
            device=self.device,
            shuffle=shuffle,
            crop=crop,
            flip=flip,
        )


def _limited(
    rows: NDArray[np.int64], limit: int | None, *, seed: tuple[int, ...]
) -> NDArray[np.int64]:
    """The first `limit` rows of a seeded order, ascending."""
    import numpy as np

    if limit is None or limit >= len(rows):
        return rows
    return np.sort(rows[seeded_order(len(rows), seed=seed)[:limit]])
