"""What a caller gives to a check, looked over; and the classes that outputs name."""

# N samples, K classes

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = Mapping[str, NDArray[Any]]

CLASSES = "classes"
"""The output of a top-k head that holds class numbers, best first."""


def check_material(samples: Samples | None, labels: NDArray[Any] | None) -> None:
    """`BadInput` unless samples (N, ...) and labels (N,) are numbers that go together."""
    import numpy as np

    if samples is None:
        if labels is not None:
            raise BadInput("labels were given without samples; give both or none")
        return
    rows = {len(values) if values.ndim else 0 for values in samples.values()}
    if len(rows) != 1 or 0 in rows:
        raise BadInput(f"samples have {sorted(rows)} rows; expected as many for every input")
    for name, values in samples.items():
        if values.dtype.kind not in "fiub" or not np.isfinite(values).all():
            raise BadInput(
                f"samples {name} are {values.dtype} with or without NaN; expected finite numbers,"
                " as the model takes them"
            )
    if labels is None:
        return
    (count,) = rows
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise BadInput(
            f"labels are {labels.dtype} of shape {labels.shape};"
            f" expected {count} integers, one per sample"
        )
    if labels.min() < 0:
        raise BadInput(f"label {labels.min()} at sample {labels.argmin()}; classes start at 0")


def named_classes(outputs: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:
    """The class (N,) that each sample is given, -1 for NaN or Inf; None where there is none."""
    import numpy as np

    best = outputs.get(CLASSES)
    if best is not None and best.dtype.kind in "iu":
        if best.ndim not in (1, 2) or not best.size:
            return None
        return best if best.ndim == 1 else np.asarray(best[:, 0])
    scores = [v for v in outputs.values() if v.ndim == 2 and v.dtype.kind == "f" and v.shape[1] > 1]
    if len(scores) != 1:
        return None
    finite = np.isfinite(scores[0]).all(axis=1)
    return np.where(finite, np.where(finite[:, None], scores[0], 0).argmax(axis=1), -1)


def outputs_are_scores(outputs: Mapping[str, NDArray[Any]]) -> bool:
    """Whether `named_classes` reads scores; else it reads class numbers, of which all may occur."""
    best = outputs.get(CLASSES)
    return best is None or best.dtype.kind not in "iu"
