"""How far one layer's output is from the reference's, and how far rounding alone may take it.

    float32 in both         largest difference over the largest value: 2e-5
    float16 in one          the same: 2e-2
    INT8 in the candidate   root mean square of the difference over the value's: 0.15, and of a
                            QuantizeLinear no more than 3 times that of the best step
    INT8 in both            the same: 0.05

Largest seen on sound exports. float32: 1.7e-6 of 12 networks of torchvision and our own against
torch. INT8 of the digits student, ResNet-18 and MobileNetV2: 0.008 for a product with rounded
weights, 0.07 after fine-tuning, 0.023 for a QuantizeLinear and 1.02 times the best step's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .step_pairs import ROUNDING, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .onnx_steps import OnnxSteps, Quantizer

FLOAT, HALF, INT8, INT8_TWICE = 2e-5, 2e-2, 0.15, 0.05
WORSE_THAN_BEST = 3.0
"""A step 4 times too coarse is 4 times as far off; ranges of sound files stay below 1.1."""
NO_MATTER = 1e-3
"""A rounding as small as that is not judged by its step."""
STEPS = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
MASKED = 1e30
"""What is larger stands for infinity, as in the masks of attention."""
MOST_TIES = 0.05
"""Share of codes; in untrained networks, whose values take a handful of codes, 0.01 was seen."""
MOST_ELEMENTS = 200_000
"""Of a value, taken evenly, to find the best step."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An error above its limit."""

    error: float
    limit: float
    why: str = ""
    doubtful: bool = False
    """Of a step, which may be meant so: other images than these may need it."""


Judge = Callable[["Step", "NDArray[Any]", "NDArray[Any] | str", bool], Fault | None]
"""By the step, the reference's value, its own, and whether all that it reads was given to it."""


def judge(reference: Sequence[Step], candidate: OnnxSteps, *, limit: float | None) -> Judge:
    """Judges a pair of steps and their values by what the two networks' number types may do."""
    rounds = [any(step.op == ROUNDING for step in side) for side in (reference, candidate.steps)]

    def judged(
        right: Step, expected: NDArray[Any], found: NDArray[Any] | str, alone: bool
    ) -> Fault | None:
        import numpy as np

        if isinstance(found, str):
            return Fault(error=math.inf, limit=limit or FLOAT, why=found)
        if found.size != expected.size:
            shapes = f"its value is {found.shape}, the reference's {expected.shape}"
            return Fault(error=math.inf, limit=limit or FLOAT, why=shapes)
        if not np.issubdtype(expected.dtype, np.floating):
            unequal = float((found.reshape(expected.shape) != expected).mean())
            why = f"{unequal:.2%} of its whole numbers differ"
            return Fault(error=unequal, limit=0.0, why=why) if unequal else None
        if not any(rounds):
            half = np.float16 in (found.dtype.type, expected.dtype.type)
            return _above(relative_peak(expected, found), limit or (HALF if half else FLOAT))
        error = relative_rms(expected, found)
        allowed = limit or (INT8_TWICE if all(rounds) else INT8)
        if not alone and all(rounds):  # what is rounded in between may fall on another code
            allowed = max(allowed, INT8_TWICE)
        quantizer = candidate.quantizer(right) if right.op == ROUNDING else None
        if quantizer is not None and not rounds[0] and error > NO_MATTER:
            best, factor = best_step(expected, quantizer)
            if error > WORSE_THAN_BEST * best:
                why = f"its step should be about {factor:g} times as large"
                limit_ = WORSE_THAN_BEST * best
                return Fault(error=error, limit=limit_, why=why, doubtful=True)
        if quantizer is not None and rounds[0] and _ties(expected, found, quantizer):
            return None
        return _above(error, allowed)

    return judged


def _ties(expected: NDArray[Any], found: NDArray[Any], quantizer: Quantizer) -> bool:
    """Whether they differ by one code in a few places: values that lie between two codes."""
    import numpy as np

    apart = np.abs(expected.ravel() - found.ravel()) / quantizer.step
    return bool(apart.max(initial=0.0) < 1.01 and (apart > 0.01).mean() <= MOST_TIES)


def relative_peak(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """The largest difference over the largest value; inf where one alone is not finite."""
    import numpy as np

    ours, theirs = _finite(expected, found)
    peak = float(np.abs(ours).max(initial=0.0))
    return _over(float(np.abs(ours - theirs).max(initial=0.0)), peak)


def relative_rms(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """The root mean square of the difference over that of the value; inf as above."""
    import numpy as np

    ours, theirs = _finite(expected, found)
    return _over(float(np.linalg.norm(ours - theirs)), float(np.linalg.norm(ours)))


def best_step(expected: NDArray[Any], quantizer: Quantizer) -> tuple[float, float]:
    """The least error of rounding by a step some powers of 2 from the quantizer's, and which."""
    import numpy as np

    flat = expected.ravel()
    few = flat[:: max(1, flat.size // MOST_ELEMENTS)].astype(np.float64)
    found = []
    for factor in STEPS:
        step = quantizer.step * factor
        codes = np.clip(np.round(few / step), quantizer.lowest, quantizer.highest)
        found.append((relative_rms(few, codes * step), factor))
    return min(found)


def _finite(
    expected: NDArray[Any], found: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both in float64, flat, without what is the same infinity or NaN in both."""
    import numpy as np

    ours, theirs = expected.ravel().astype(np.float64), found.ravel().astype(np.float64)
    for each in (ours, theirs):
        each[each > MASKED], each[each < -MASKED] = math.inf, -math.inf
    alike = ~np.isfinite(ours) & ((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    return (ours[~alike], theirs[~alike]) if alike.any() else (ours, theirs)


def _over(error: float, size: float) -> float:
    if not math.isfinite(error) or not math.isfinite(size):
        return math.inf
    return error / size if size else (math.inf if error else 0.0)


def _above(error: float, limit: float) -> Fault | None:
    return Fault(error=error, limit=limit) if error > limit else None
