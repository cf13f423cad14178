"""Values of the options of `edgestill export`, read from the words that people write."""

from __future__ import annotations

import math

from ..models.errors import BadInput
from .export_source import IMAGENET
from .export_tensorrt import Batch

NORMALISATIONS = {"imagenet": (IMAGENET["mean"], IMAGENET["std"])}


def normalisation(
    mean: str | None, std: str | None
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Mean and std per channel, of pixels in 0 .. 1, of --mean and --std; (None, None) for none."""
    if mean in NORMALISATIONS:
        if std is not None:
            raise BadInput(f"--mean {mean} says both; leave --std away")
        return NORMALISATIONS[mean]
    if (mean is None) != (std is None):
        raise BadInput("--mean and --std belong together: give both, or --mean imagenet")
    if mean is None or std is None:
        return None, None
    return _numbers("--mean", mean), _numbers("--std", std)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    least = 0.0 if option == "--mean" else 1e-6
    if len(values) != 3 or not all(math.isfinite(v) and least <= v <= 1 for v in values):
        raise BadInput(
            f"{option} {text}: expected three numbers of pixels in 0 .. 1, as 0.485,0.456,0.406"
        )
    return values


def batches(text: str, fixed: int | None) -> Batch:
    """Smallest, best and largest batch of --engine-batch, for a file whose own is `fixed`."""
    parts = text.split(",")
    if not all(part.isdecimal() and len(part) < 7 for part in parts) or len(parts) not in (1, 3):
        raise BadInput(f"--engine-batch {text}: expected one number, or three as 1,8,32")
    sizes = tuple(map(int, parts)) * (3 if len(parts) == 1 else 1)
    least, best, most = sizes
    if not 1 <= least <= best <= most:
        raise BadInput(f"--engine-batch {text}: expected smallest, best and largest, from 1 on")
    if fixed is not None and sizes != (fixed,) * 3:
        raise BadInput(f"--engine-batch {text}: the file itself has a batch of {fixed} (--batch)")
    return least, best, most


def image_shape(text: str) -> tuple[int, int, int]:
    """(C, H, W) of --input-shape."""
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise BadInput(f"--input-shape {text}: expected CxHxW, as 3x224x224")
    channels, height, width = map(int, parts)
    if channels != 3 or height != width:
        raise BadInput(f"--input-shape {text}: three channels and a square image are supported")
    return channels, height, width
