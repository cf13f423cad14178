"""scikit-learn's digits: 1,797 grey pictures of 8x8 in 10 classes, shipped inside its wheel."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ...models.errors import BadInput, MissingPackage
from .split import Split, labelled


class Digits:
    """One split; the test split is carved from it."""

    has_test = False

    def train(self) -> Split:
        """All 1,797 digits; 17 grey levels spread over 0 .. 255, (8, 8, 3) each."""
        import numpy as np
        from sklearn.datasets import load_digits

        from .decode import rgb_of_array

        bunch = load_digits()
        pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)

        def where(row: int) -> str:
            return f"scikit-learn's digits, row {row}"

        labels, names = labelled(bunch.target, where=where, what="scikit-learn's digits")
        return Split(
            labels=labels,
            class_names=names,
            read=lambda row: rgb_of_array(pixels[row], where(row)),
            where=where,
        )

    def test(self, known: tuple[str, ...]) -> Split:
        """Never there."""
        raise BadInput("scikit-learn's digits have no test split of their own")

    def files(self) -> dict[str, Path]:
        """The one file in scikit-learn's wheel; found without importing it."""
        spec = importlib.util.find_spec("sklearn")
        if spec is None or spec.origin is None:
            raise MissingPackage("scikit-learn is not installed: pip install scikit-learn")
        return {"digits.csv.gz": Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"}
