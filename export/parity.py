"""How far apart two arrays of one output are, in figures; what is not finite is never equal."""

# N rows (one per sample), K classes

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The distance of a candidate's output from a reference's."""

    max_abs: float
    """Largest difference of two elements; inf as soon as one is NaN or Inf."""
    mean_abs: float
    """Mean difference over all elements; inf as soon as one is NaN or Inf."""
    rows: int
    """Rows compared, N."""
    non_finite_rows: int
    """Rows with a NaN or Inf on either side."""
    relative: float | None = None
    """`max_abs` over the reference's largest finite size; None for integers."""
    cosine: float | None = None
    """Cosine of the least similar row; -1 with any NaN or Inf; None for integers."""
    top1_agreement: float | None = None
    """Share of rows whose largest element is at the same place; a row with NaN or Inf disagrees.

    None unless the output is (N, K) of floats with K > 1."""
    shift: float | None = None
    """Largest mean difference of one element over all rows, as a share of the reference's largest
    element: what is systematic, such as a lost bias, where rounding averages out."""
    equal: float | None = None
    """Share of elements that are the same; None for floats."""

    def to_json(self) -> dict[str, Any]:
        """The figures that were measured; one that is infinite is null, see `non_finite_rows`."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: value if math.isfinite(value) else None for name, value in told.items()}


def compare(reference: NDArray[Any], candidate: NDArray[Any]) -> Parity:
    """The figures of `candidate` (N, ...) against `reference` of the same shape.

    Both are floats of any width, or both are integers or truth values. `BadInput` for anything
    else, for different shapes and for arrays without an element.

    >>> import numpy as np
    >>> compare(np.array([[1.0, 2.0]]), np.array([[1.0, 2.5]])).max_abs
    0.5
    >>> compare(np.array([3, 7]), np.array([3, 8])).equal
    0.5
    """
    kinds = {_kind(reference), _kind(candidate)}
    if reference.shape != candidate.shape or not reference.ndim or not reference.size:
        raise BadInput(
            f"arrays of shapes {reference.shape} and {candidate.shape} cannot be compared;"
            " expected the same (N, ...) twice, with something in it"
        )
    if len(kinds) > 1:
        raise BadInput(
            f"{reference.dtype} and {candidate.dtype} cannot be compared;"
            " expected floats twice or integers twice"
        )
    compared = _floats if kinds == {"floats"} else _integers
    return compared(reference, candidate)


def compare_outputs(
    reference: Mapping[str, NDArray[Any]], candidate: Mapping[str, NDArray[Any]]
) -> dict[str, Parity]:
    """The figures of every output, by the candidate's names.

    Outputs are paired by name; where each side has just one, whatever it is called. Other sets of
    names are `BadInput`, as is an output that cannot be compared.
    """
    names = {name: name for name in candidate}
    if set(reference) != set(candidate):
        if len(reference) != 1 or len(candidate) != 1:
            raise BadInput(
                f"the reference gives {_named(reference)}, the candidate {_named(candidate)};"
                " outputs are compared by name"
            )
        names = dict(zip(candidate, reference, strict=True))
    compared = {}
    for name, other in names.items():
        try:
            compared[name] = compare(reference[other], candidate[name])
        except BadInput as error:
            raise BadInput(f"output {name}: {error}") from error
    return compared


def _floats(reference: NDArray[Any], candidate: NDArray[Any]) -> Parity:
    import numpy as np

    # float64: the squares of float32 logits beyond 1e19 overflow.
    left, right = (
        each.astype(np.float64).reshape(len(each), -1) for each in (reference, candidate)
    )
    finite = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
    broken = int((~finite).sum())
    top1 = None
    if reference.ndim == 2 and reference.shape[1] > 1:
        top1 = float((finite & (left.argmax(axis=1) == right.argmax(axis=1))).mean())
    max_abs = mean_abs = relative = shift = math.inf
    cosine = -1.0
    if not broken:
        with np.errstate(over="ignore"):  # two float64 may be further apart than float64 reaches
            apart = np.abs(left - right)
        max_abs, mean_abs = float(apart.max()), _mean(apart)
        largest = float(np.abs(left).max())
        relative = _ratio(max_abs, largest)
        cosine = float(_cosines(left, right).min())
        with np.errstate(over="ignore", invalid="ignore"):
            means = np.abs((right - left).mean(axis=0))
        shift = _ratio(float(means.max()), largest)
    return Parity(
        max_abs=max_abs,
        mean_abs=mean_abs,
        relative=relative,
        shift=shift,
        cosine=cosine,
        top1_agreement=top1,
        rows=len(left),
        non_finite_rows=broken,
    )


def _integers(reference: NDArray[Any], candidate: NDArray[Any]) -> Parity:
    import numpy as np

    kind = np.result_type(reference, candidate, np.int8)
    left, right = reference.astype(kind), candidate.astype(kind)
    # Their difference may take one bit more than they have, which the unsigned type holds.
    apart = np.maximum(left, right) - np.minimum(left, right)
    if np.issubdtype(kind, np.signedinteger):
        apart = apart.view(np.dtype(f"u{kind.itemsize}"))
    return Parity(
        max_abs=float(apart.max()),
        mean_abs=_mean(apart.astype(np.float64)),
        equal=float((reference == candidate).mean()),
        rows=len(left),
        non_finite_rows=0,
    )


def _cosines(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine per row (N,); two zero rows are alike (1), one zero row is like nothing (0)."""
    import numpy as np

    sizes = [np.abs(rows).max(axis=1, keepdims=True) for rows in (left, right)]
    zero = [size[:, 0] == 0 for size in sizes]
    # Rows of length 1 in the largest norm: their squares neither overflow nor vanish.
    ones = [
        rows / np.where(size > 0, size, 1.0)
        for rows, size in zip((left, right), sizes, strict=True)
    ]
    lengths = np.linalg.norm(ones[0], axis=1) * np.linalg.norm(ones[1], axis=1)
    cosines = (ones[0] * ones[1]).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
    return np.where(zero[0] & zero[1], 1.0, np.clip(cosines, -1.0, 1.0))


def _mean(apart: NDArray[np.float64]) -> float:
    largest = float(apart.max())
    if not 0 < largest < math.inf:
        return largest
    return float((apart / largest).mean()) * largest  # the sum itself might overflow


def _ratio(max_abs: float, largest: float) -> float:
    if largest:
        return max_abs / largest
    return math.inf if max_abs else 0.0


def _kind(values: NDArray[Any]) -> str:
    import numpy as np

    if np.issubdtype(values.dtype, np.floating):
        return "floats"
    if np.issubdtype(values.dtype, np.integer) or values.dtype == np.bool_:
        return "integers"
    raise BadInput(f"values of type {values.dtype} cannot be compared; expected numbers")


def _named(outputs: Mapping[str, NDArray[Any]]) -> str:
    return ", ".join(sorted(outputs)) or "no output"
