"""A folder per class: DIR/train/<class>/* and DIR/test/<class>/* or DIR/val/<class>/*."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.errors import BadInput
from .split import Split, labelled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Endings of what counts as an image; other files (notes, thumbnails' indexes) are passed over."""


@dataclass(frozen=True)
class ImageFolder:
    """Classes are the folders of DIR/train in the order of their names; folders may nest below."""

    folder: Path

    @property
    def has_test(self) -> bool:
        """Whether DIR/test or DIR/val is there."""
        return self._test_folder() is not None

    def train(self) -> Split:
        """The pictures under DIR/train."""
        folder = self._train_folder()
        names = tuple(path.name for path in _class_folders(folder))
        if not names:
            raise BadInput(f"no class folders in {folder}; expected {folder}/<class>/<image>")
        return _split(folder, names, known=None)

    def test(self, known: tuple[str, ...]) -> Split:
        """The pictures under DIR/test, else DIR/val; classes must be among those of training."""
        folder = self._test_folder()
        if folder is None:
            raise BadInput(f"neither test nor val in {self.folder}")
        for path in _class_folders(folder):
            if path.name not in known:
                raise BadInput(f"{path}: no class {path.name!r} in {self.folder / 'train'}")
        return _split(folder, known, known=known)

    def files(self) -> dict[str, Path]:
        """Every picture of both splits, by its path below DIR."""
        test = self._test_folder()
        folders = [self._train_folder()] + ([test] if test else [])
        return {
            path.relative_to(self.folder).as_posix(): path
            for folder in folders
            for path in _images(folder)
        }

    def _train_folder(self) -> Path:
        folder = self.folder / "train"
        if not folder.is_dir():
            found = sorted(path.name for path in self.folder.glob("*"))[:5]
            is_there = f"holds {', '.join(found) or 'nothing'}" if found else "is empty or absent"
            raise BadInput(
                f"no folder {folder}: {self.folder} {is_there}; expected train/<class>/*"
            )
        return folder

    def _test_folder(self) -> Path | None:
        folders = (self.folder / "test", self.folder / "val")
        return next((folder for folder in folders if folder.is_dir()), None)


def _split(folder: Path, names: tuple[str, ...], *, known: tuple[str, ...] | None) -> Split:
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix.lower() in IMAGES:
            raise BadInput(f"{path}: no label, it lies outside of a class folder of {folder}")
    paths, classes = [], []
    for label, name in enumerate(names):
        inside = list(_images(folder / name)) if (folder / name).is_dir() else []
        if not inside and known is None:
            raise BadInput(f"{folder / name}: class folder without an image ({', '.join(IMAGES)})")
        paths += inside
        classes += [label] * len(inside)

    def where(row: int) -> str:
        return f"{paths[row]} (row {row})"

    def read(row: int) -> NDArray[np.uint8]:
        from .decode import pixels_of

        try:
            encoded = paths[row].read_bytes()
        except OSError as error:
            raise BadInput(f"{where(row)}: cannot be read ({error.strerror})") from error
        return pixels_of(encoded, where(row))

    labels, names = labelled(classes, where=where, what=str(folder), names=names, known=known)
    return Split(labels=labels, class_names=names, read=read, where=where)


def _class_folders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _images(folder: Path) -> Iterator[Path]:
    """The pictures below `folder`, in an order that no file system changes; hidden ones not."""
    for at, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(IMAGES) and not name.startswith("."):
                yield Path(at, name)
