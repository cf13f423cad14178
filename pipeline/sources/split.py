"""One split of a source: checked labels, class names, and images that are read row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...models.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Split:
    """N images as their source holds them. Rows count from 0."""

    labels: NDArray[np.int64]
    """(N,), every one in 0 .. K - 1."""
    class_names: tuple[str, ...]
    """K names."""
    read: Callable[[int], NDArray[np.uint8]]
    """row -> the decoded image (H, W, 3); called from several threads at once; `BadInput` naming
    file and row where there is none."""
    where: Callable[[int], str]
    """row -> the words for it: file and row."""

    def __len__(self) -> int:
        return len(self.labels)


def labelled(
    values: Sequence[Any] | NDArray[Any],
    *,
    where: Callable[[int], str],
    what: str,
    names: Sequence[str] | None = None,
    known: Sequence[str] | None = None,
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """(labels (N,), class names), or `BadInput` naming the first row that has no usable label.

    `names` are the classes the split declares; without them there are as many as the largest label
    says, and each must occur, so that labels counted from 1 are noticed. `known` are the classes of
    the training split, which a test split is held to. `what` names the whole split in a message.
    """
    import numpy as np

    if len(values) == 0:
        raise BadInput(f"{what} holds no images; expected at least one row")
    labels = _integers(values, where)
    if known is not None:
        _below(labels, known, where, "the training split has")
        return labels, tuple(known)
    present = np.unique(labels)
    if len(present) == 1:
        raise BadInput(
            f"{what} has a single class: every label from {where(0)} on is {labels[0]};"
            " expected two classes or more"
        )
    if names is not None:
        _below(labels, names, where, f"{what} declares")
        return labels, tuple(names)
    if len(present) <= present[-1]:
        gap = int(np.flatnonzero(present != np.arange(len(present)))[0])
        raise BadInput(
            f"{where(int(labels.argmax()))}: label is {present[-1]}, but no image has label {gap};"
            " classes count from 0 without a gap"
        )
    return labels, tuple(str(one) for one in present)


def _integers(values: Sequence[Any] | NDArray[Any], where: Callable[[int], str]) -> NDArray[Any]:
    """The labels as int64 (N,): missing, fractional and negative ones refused."""
    import numpy as np

    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise BadInput(f"{where(0)}: labels are nested; expected one integer an image") from error
    if array.ndim != 1:
        raise BadInput(f"{where(0)}: labels have shape {array.shape}; expected (images,)")
    if array.dtype.kind in "iu":
        wrong = (array < 0) | (array >= 2**31)
    elif array.dtype.kind == "f":
        wrong = ~((array >= 0) & (array < 2**31) & (array == np.floor(array)))
    else:  # text, dates, None among numbers: one look at each value
        wrong = np.array([not _is_label(value) for value in values])
    if wrong.any():
        row = int(wrong.argmax())
        value = values[row]
        if value is None or value != value:  # only not-a-number differs from itself
            raise BadInput(f"{where(row)}: label is missing")
        shown = f"{value!r}" if isinstance(value, str) else f"{value}"
        raise BadInput(f"{where(row)}: label is {shown}; expected an integer from 0 on")
    return array.astype(np.int64)


def _is_label(value: Any) -> bool:
    import numpy as np

    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and 0 <= value < 2**31


def _below(
    labels: NDArray[np.int64], names: Sequence[str], where: Callable[[int], str], who: str
) -> None:
    if (wrong := labels >= len(names)).any():
        row = int(wrong.argmax())
        raise BadInput(f"{where(row)}: label is {labels[row]}, but {who} {len(names)} classes")
