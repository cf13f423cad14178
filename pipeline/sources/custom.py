"""The user's own data: `function("train")` and `function("test")` of a module they wrote.

Each call returns (images, labels): images a uint8 array (N, H, W, 3) or (N, H, W), or a list of
Pillow images or such arrays; labels N integers from 0 on.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...models.errors import BadInput
from .split import Split, labelled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Custom:
    """MODULE:FUNCTION, looked for in `base` first and then where Python looks."""

    module: str
    function: str
    base: Path
    has_test = True  # to learn otherwise the function would have to be called, and would read it

    def train(self) -> Split:
        """What the function gives for "train"."""
        return self._split("train", None)

    def test(self, known: tuple[str, ...]) -> Split:
        """What the function gives for "test"."""
        return self._split("test", known)

    def files(self) -> dict[str, Path]:
        """The module's source. What the function reads is not known: `data.version` tells that."""
        return {self.module: located(self.module, self.base)}

    def _split(self, split: str, known: tuple[str, ...] | None) -> Split:
        call = f"{self.module}:{self.function}({split!r})"
        images, labels = self._called(split, call)

        def where(row: int) -> str:
            return f"{call}, row {row}"

        if len(images) != len(labels):
            raise BadInput(f"{call} gave {len(images)} images and {len(labels)} labels")

        def read(row: int) -> NDArray[np.uint8]:
            from PIL import Image

            from .decode import rgb_of, rgb_of_array

            image = images[row]
            if isinstance(image, Image.Image):
                return rgb_of(image, where(row))
            return rgb_of_array(image, where(row))

        checked, names = labelled(labels, where=where, what=call, known=known)
        return Split(labels=checked, class_names=names, read=read, where=where)

    def _called(self, split: str, call: str) -> tuple[Any, Any]:
        path = located(self.module, self.base)
        try:
            with _on_path(self.base):
                module = importlib.import_module(self.module)
                loaded = Path(getattr(module, "__file__", None) or "")
                if loaded.resolve() != path.resolve():
                    raise BadInput(
                        f"module {self.module!r} is {path}, but another of that name is loaded"
                        f" already ({loaded}); rename yours"
                    )
                if not hasattr(module, self.function):
                    names = ", ".join(one for one in vars(module) if not one.startswith("_"))
                    raise BadInput(f"{path} has no {self.function!r}; found {names or 'nothing'}")
                given = getattr(module, self.function)(split)
        except BadInput:
            raise
        except (
            Exception,
            SystemExit,
        ) as error:  # the user's code may raise anything; say where it did
            at = traceback.extract_tb(error.__traceback__)[-1]
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise BadInput(f"{call} failed at {at.filename}:{at.lineno}: {reason}") from error
        if not isinstance(given, tuple) or len(given) != 2:
            raise BadInput(f"{call} gave {type(given).__name__}; expected a pair (images, labels)")
        return given


def located(module: str, base: Path) -> Path:
    """The source file of `module`, found without running any of it, or `BadInput`."""
    importlib.invalidate_caches()  # the file may be younger than Python's listing of its folder
    places = [str(base), *sys.path]
    spec = None
    for part in module.split("."):
        spec = PathFinder.find_spec(part, places)
        if spec is None:
            break
        places = list(spec.submodule_search_locations or [])
    if spec is None or spec.origin is None or not spec.has_location:
        raise BadInput(
            f"no module {module!r} in {base} or on Python's path; expected {module}:<function>, or"
            " one of digits, parquet:DIR, imagefolder:DIR, torchvision:NAME"
        )
    return Path(spec.origin)


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """Imports also look in `folder`; Python's path is as before afterwards."""
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before
