"""How far apart two sets of logits are, as four figures; what is not finite is never equal."""

# N rows (one per image), K classes

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The distance of a candidate's logits from a reference's."""

    max_abs: float
    """Largest difference of two logits; inf as soon as one is NaN or Inf."""
    mean_abs: float
    """Mean difference over all logits; inf as soon as one is NaN or Inf."""
    cosine: float
    """Cosine of the least similar row; -1 as soon as one logit is NaN or Inf."""
    top1_agreement: float
    """Share of rows whose largest logit is of the same class; a row with NaN or Inf disagrees."""
    rows: int
    """Rows compared, N."""
    non_finite_rows: int
    """Rows with a NaN or Inf on either side."""


def compare(reference: NDArray[Any], candidate: NDArray[Any]) -> Parity:
    """The figures of `candidate` (N, K) against `reference` (N, K); other shapes are `BadInput`.

    >>> import numpy as np
    >>> compare(np.array([[1.0, 2.0]]), np.array([[1.0, 2.5]])).max_abs
    0.5
    """
    import numpy as np

    if reference.shape != candidate.shape or reference.ndim != 2 or not reference.size:
        raise BadInput(
            f"logits of shapes {reference.shape} and {candidate.shape} cannot be compared;"
            f" expected the same (N, K) twice"
        )
    # float64: the squares of float32 logits beyond 1e19 overflow.
    left, right = reference.astype(np.float64), candidate.astype(np.float64)
    finite = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
    agree = finite & (left.argmax(axis=1) == right.argmax(axis=1))
    broken = int((~finite).sum())
    if broken:
        max_abs, mean_abs, cosine = math.inf, math.inf, -1.0
    else:
        apart = np.abs(left - right)
        max_abs, mean_abs = float(apart.max()), float(apart.mean())
        cosine = float(_cosines(left, right).min())
    return Parity(
        max_abs=max_abs,
        mean_abs=mean_abs,
        cosine=cosine,
        top1_agreement=float(agree.mean()),
        rows=len(left),
        non_finite_rows=broken,
    )


def _cosines(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine per row (N,); two zero rows are alike (1), one zero row is like nothing (0)."""
    import numpy as np

    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    both_zero = ~left.any(axis=1) & ~right.any(axis=1)
    cosines = (left * right).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
    return np.where(both_zero, 1.0, cosines)
