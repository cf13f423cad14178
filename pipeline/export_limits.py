"""How far the outputs of an exported file may be from its network's, by precision.

What counts is the difference beside what the network tells apart: the largest distance of an
element from the mean of its row. A probability of 1000 classes is 0.001, and two softmaxes that
have nothing in common are 0.001 apart; a limit on the difference alone would take one for another.
"""

# N rows, K classes

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Shares of the largest distance from a row's mean, and what the number type alone does."""

    peak: float
    """The largest difference of an element."""
    rms: float
    """The root mean square of all differences, over that of the distances."""
    rounding: float
    """As a share of the largest element: a difference up to that is one of the number type."""


# Two libraries' float32 rounding. The largest seen is 7e-7 of the largest logit (WRN-28, ResNet-18,
# MobileNetV2, EfficientNet-B0, RegNet-X-400MF, random weights, ONNX Runtime 1.32); the rest is room
# for deeper networks. A wrong export differs by hundredths and more.
FLOAT = Limits(peak=1e-4, rms=1e-4, rounding=2e-6)
# float16 has 11 bits, so one rounding is up to 5e-4; this is a hundred of them.
HALF = Limits(peak=5e-2, rms=2e-2, rounding=1e-3)
# INT8 against the network that rounds alike: where a float32 sum falls on the other side of a tie
# the codes differ by one, and later layers carry that on. Largest seen: peak 0.11 and rms 0.06 in
# networks that had hardly learned, 0.01 in trained ones. The judge of INT8 is each layer by itself;
# this is for what lies between layers.
INT8 = Limits(peak=0.25, rms=0.12, rounding=2e-6)
# Where layers cannot be judged by themselves, the whole has to be as near as trained networks are.
INT8_UNSEARCHED = Limits(peak=0.05, rms=0.02, rounding=2e-6)
# float16 sums fall on the other side of a tie more often. Largest seen, in networks that had not
# learned at all: peak 0.1 and rms 0.09 (ResNet-18), where float32 beside INT8 gave 0.07 and 0.05.
INT8_HALF = Limits(peak=0.3, rms=0.15, rounding=1e-3)


def too_far(expected: NDArray[Any], found: NDArray[Any], limits: Limits) -> str:
    """Why `found` is not `expected`, both (N, ...) floats of one shape; "" if it is."""
    import numpy as np

    ours, theirs = (each.astype(np.float64).reshape(len(each), -1) for each in (expected, found))
    broken = int((~(np.isfinite(ours) & np.isfinite(theirs)).all(axis=1)).sum())
    if broken:
        return f"has NaN or Inf for {broken} of {len(ours)} rows"
    # A row of one element has no other to be told from.
    told = ours - ours.mean(axis=1, keepdims=True) if ours.shape[1] > 1 else ours
    apart, floor = np.abs(ours - theirs), limits.rounding * float(np.abs(ours).max())
    peak = max(limits.peak * float(np.abs(told).max()), floor)
    if float(apart.max()) > peak:
        return f"differs by {apart.max():.3g} in ONNX Runtime, {peak:.3g} allowed"
    rms = max(limits.rms * _rms(told), floor)
    if _rms(apart) > rms:
        return f"differs by {_rms(apart):.3g} on average in ONNX Runtime, {rms:.3g} allowed"
    return ""


def _rms(values: NDArray[Any]) -> float:
    import numpy as np

    return float(np.sqrt(np.square(values).mean()))
