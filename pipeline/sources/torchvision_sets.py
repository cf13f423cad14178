"""The sets torchvision reads whole into memory: CIFAR, SVHN, STL-10, MNIST and its kin."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...models.errors import BadInput
from .split import Split, labelled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class _Set(NamedTuple):
    files: tuple[str, ...]
    """What lies below `root`: files, or folders taken whole."""
    splits: bool
    """Built with split="train"|"test"; otherwise with train=True|False."""


SETS = {
    "CIFAR10": _Set(("cifar-10-batches-py",), splits=False),
    "CIFAR100": _Set(("cifar-100-python",), splits=False),
    "SVHN": _Set(("train_32x32.mat", "test_32x32.mat"), splits=True),
    "STL10": _Set(("stl10_binary",), splits=True),
    "MNIST": _Set(("MNIST/raw",), splits=False),
    "FashionMNIST": _Set(("FashionMNIST/raw",), splits=False),
    "KMNIST": _Set(("KMNIST/raw",), splits=False),
    "USPS": _Set(("usps.bz2", "usps.t.bz2"), splits=False),
}


@dataclass(frozen=True)
class TorchvisionSet:
    """torchvision.datasets.NAME below `root`; never downloaded here."""

    name: str
    root: Path
    has_test = True

    def __post_init__(self) -> None:
        if self.name not in SETS:
            by_upper = {name.upper(): name for name in SETS}
            near = get_close_matches(self.name.upper(), by_upper, n=1, cutoff=0.5)
            raise BadInput(
                f"torchvision:{self.name} is not among the sets read here: {', '.join(SETS)}"
                + (f"; did you mean torchvision:{by_upper[near[0]]}?" if near else "")
                + "; others can be had by module:function"
            )

    def train(self) -> Split:
        """The training split, as torchvision orders it."""
        return self._split("train", None)

    def test(self, known: tuple[str, ...]) -> Split:
        """The test split."""
        return self._split("test", known)

    def files(self) -> dict[str, Path]:
        """Every file of the set, both splits, by its path below `root`."""
        found: dict[str, Path] = {}
        for name in SETS[self.name].files:
            place = self.root / name
            inside = sorted(place.rglob("*")) if place.is_dir() else [place]
            found |= {
                path.relative_to(self.root).as_posix(): path for path in inside if path.is_file()
            }
        if not found:
            raise BadInput(self._absent("there is nothing of it"))
        return found

    def _absent(self, reason: str) -> str:
        return (
            f"torchvision:{self.name} cannot be read below {self.root} ({reason}); set data.root,"
            f' or fetch it once: python -c "from torchvision.datasets import {self.name} as D;'
            f' {self._fetch()}"'
        )

    def _fetch(self) -> str:
        if SETS[self.name].splits:
            return f"[D('{self.root}', split=s, download=True) for s in ('train', 'test')]"
        return f"[D('{self.root}', train=t, download=True) for t in (True, False)]"

    def _split(self, split: str, known: tuple[str, ...] | None) -> Split:
        import numpy as np
        from torchvision import datasets

        option: dict[str, Any] = (
            {"split": split} if SETS[self.name].splits else {"train": split == "train"}
        )
        try:
            held = getattr(datasets, self.name)(str(self.root), download=False, **option)
        except (RuntimeError, OSError, ValueError, EOFError, AssertionError) as error:
            raise BadInput(self._absent(" ".join(str(error).split())[:120])) from error
        pixels = np.asarray(held.data)
        if pixels.ndim == 4 and pixels.shape[1] == 3 and pixels.shape[3] != 3:
            pixels = pixels.transpose(0, 2, 3, 1)  # SVHN and STL10 keep channels first

        def where(row: int) -> str:
            return f"torchvision:{self.name} {split} below {self.root}, row {row}"

        def read(row: int) -> NDArray[np.uint8]:
            from .decode import rgb_of_array

            return rgb_of_array(pixels[row], where(row))

        labels, names = labelled(
            np.asarray(held.targets if hasattr(held, "targets") else held.labels),
            where=where,
            what=f"torchvision:{self.name} {split}",
            names=getattr(held, "classes", None),
            known=known,
        )
        return Split(labels=labels, class_names=names, read=read, where=where)
