"""Where images come from: one file per kind of source, all answering the same questions.

digits              scikit-learn's 1,797 digits, which travel in its wheel       digits.py
parquet:DIR         DIR/train*.parquet, DIR/test*.parquet                        parquet.py
imagefolder:DIR     DIR/train/<class>/*, DIR/test/<class>/* (or val)             imagefolder.py
torchvision:NAME    CIFAR10, CIFAR100, SVHN, STL10, MNIST and its kin            torchvision_sets.py
module:function     your own, called with "train" and with "test"                custom.py

split.py holds what a source gives (labels, class names, a reader of rows), decode.py turns encoded
images into RGB. Opening a source, and asking for its files, needs no heavy package.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...models.errors import BadInput

if TYPE_CHECKING:
    from .split import Split

KINDS = ("digits", "parquet:DIR", "imagefolder:DIR", "torchvision:NAME", "module:function")


class Source(Protocol):
    """Images with labels, in a training split and perhaps a test split."""

    @property
    def has_test(self) -> bool:
        """Whether the source has a test split of its own; told without reading any of it."""
        ...

    def train(self) -> Split:
        """The training split, or `BadInput` naming file and row."""
        ...

    def test(self, known: tuple[str, ...]) -> Split:
        """The test split, held to the class names of training. The only call that reads it."""
        ...

    def files(self) -> dict[str, Path]:
        """Every file that either split reads, by a name that does not change when it moves."""
        ...


def open_source(text: str, *, base: Path, root: str | None) -> Source:
    """The source a recipe names, or `BadInput`. Nothing is read yet.

    Relative paths start at `base`. `root` is where torchvision keeps its sets.
    """
    kind, colon, rest = text.partition(":")
    if text == "digits":
        from .digits import Digits

        return Digits()
    if kind == "parquet" and rest:
        from .parquet import Parquet

        return Parquet(base / Path(rest).expanduser())
    if kind == "imagefolder" and rest:
        from .imagefolder import ImageFolder

        return ImageFolder(base / Path(rest).expanduser())
    if kind == "torchvision" and rest:
        from .torchvision_sets import TorchvisionSet

        return TorchvisionSet(rest, base / Path(root or "data").expanduser())
    known = {one.partition(":")[0] for one in KINDS} - {"module"}
    if colon and rest.isidentifier() and kind not in known:
        from .custom import Custom

        return Custom(kind, rest, base)
    raise BadInput(f"data source {text!r} is not known; expected one of: {', '.join(KINDS)}")
