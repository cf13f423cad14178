"""Samples for a model that nobody gave any for: seeded noise, and inputs at the edges."""

# N samples

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .ports import Port, Ports

    Feeds = Mapping[str, NDArray[Any]]

ROWS = 32
FEWEST_ROWS = 4
PEAK = 4.0
"""Size of extreme inputs where no samples were given; normalised photographs reach 2 to 3."""
SIDE, LENGTH = 224, 16
"""Sizes of free axes: the last two of a four-axis input, and any other."""
IDS = 8
"""Wide integers are mostly indices: noise stays below this, so that any table holds them."""
GRID = 4
"""Points a side between which a smooth picture is interpolated."""
SAMPLE_ELEMENTS = 3 * SIDE * SIDE


def sample_shape(port: Port, model: Ports, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of one sample of `port`: free axes as `sizes` says, else SIDE or LENGTH."""
    axes = port.shape if model.batch is None else port.shape[1:]
    skipped = len(port.shape) - len(axes)
    return tuple(
        size if isinstance(size, int) else sizes.get(size or "", _default(port, axis + skipped))
        for axis, size in enumerate(axes)
    )


def guessed_axes(model: Ports, sizes: Mapping[str, int]) -> tuple[str, ...]:
    """Free axes, apart from the batch, whose size nobody gave: "images axis 2"."""
    return tuple(
        f"{port.name} axis {axis}"
        for port in model.inputs
        for axis, size in enumerate(port.shape)
        if not isinstance(size, int) and size not in sizes and (axis or model.batch is None)
    )


def how_many(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Rows worth running: fewer where a sample is larger than a 224x224 photograph."""
    import numpy as np

    elements = sum(int(np.prod(shape)) for shape in shapes.values())
    return max(FEWEST_ROWS, min(ROWS, ROWS * SAMPLE_ELEMENTS // max(elements, 1)))


def noise(
    model: Ports, shapes: Mapping[str, tuple[int, ...]], *, rows: int, seed: int, scale: float = 1.0
) -> dict[str, NDArray[Any]]:
    """Seeded noise (rows, ...) for every input: normal, or whole numbers over their range."""
    import numpy as np

    chance = np.random.default_rng(seed)
    return {
        port.name: _drawn(chance, port.dtype, (rows, *shapes[port.name]), scale)
        for port in model.inputs
    }


def half_smooth(
    model: Ports, shapes: Mapping[str, tuple[int, ...]], *, rows: int, seed: int
) -> dict[str, NDArray[Any]]:
    """The same noise, every second row of an image input smooth as pictures are.

    White noise saturates ranges that were calibrated on pictures: a network in 8 bits then errs by
    a sixth of its largest logit, and a lost bias does not show.
    """
    import numpy as np

    drawn = noise(model, shapes, rows=rows, seed=seed)
    chance = np.random.default_rng((seed, 1))
    for port in model.inputs:
        shape, kind = shapes[port.name], np.dtype(port.dtype)
        if len(shape) != 3 or not (kind.kind == "f" or kind == np.uint8):
            continue
        last = shape[2] in (1, 3) and shape[0] not in (1, 3)  # channels behind rows and columns
        channels, height, width = (shape[2], *shape[:2]) if last else shape
        grid = chance.standard_normal((len(drawn[port.name][1::2]), channels, GRID, GRID))
        smooth = _between(height) @ grid @ _between(width).T
        if last:
            smooth = smooth.transpose(0, 2, 3, 1)
        if kind == np.uint8:
            smooth = np.rint(128 + 50 * smooth).clip(0, 255)
        drawn[port.name][1::2] = smooth.astype(kind)
    return drawn


def edges(
    model: Ports, shapes: Mapping[str, tuple[int, ...]], peak: float
) -> dict[str, dict[str, NDArray[Any]]]:
    """Named inputs of one row each: zeros, the extremes, and their mixture by chance."""
    import numpy as np

    one = noise(model, shapes, rows=1, seed=1)
    kinds: dict[str, dict[str, NDArray[Any]]] = {
        "zeros": {name: np.zeros_like(values) for name, values in one.items()},
        "the largest": {name: _full(values, peak) for name, values in one.items()},
        "the smallest": {name: _full(values, -peak) for name, values in one.items()},
        "noise": one,
        "extremes by chance": {
            name: np.where(_drawn(np.random.default_rng(2), "bool", values.shape, 1.0), high, low)
            for name, values in one.items()
            for high, low in [(_full(values, peak), _full(values, -peak))]
        },
    }
    return kinds


def _default(port: Port, axis: int) -> int:
    return SIDE if len(port.shape) == 4 and axis >= 2 else LENGTH if axis else 1


def _drawn(
    chance: np.random.Generator, dtype: str, shape: tuple[int, ...], scale: float
) -> NDArray[Any]:
    import numpy as np

    kind = np.dtype(dtype)
    if kind.kind == "f":
        drawn = chance.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        return drawn.astype(kind)
    if kind.kind == "b":
        return chance.integers(0, 2, shape).astype(bool)
    if kind.itemsize == 1:
        info = np.iinfo(kind)
        return chance.integers(info.min, info.max, shape, dtype=kind, endpoint=True)
    return chance.integers(0, IDS, shape).astype(kind)


def _between(size: int) -> NDArray[np.float64]:
    """(size, GRID) weights of linear interpolation between GRID points spread over `size`."""
    import numpy as np

    places = np.linspace(0, GRID - 1, size)
    weights: NDArray[np.float64] = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(GRID)))
    return weights


def _full(values: NDArray[Any], extreme: float) -> NDArray[Any]:
    """`values` with every element at an end of what its type, or a photograph, holds."""
    import numpy as np

    kind = values.dtype
    if kind.kind == "f":
        return np.full_like(values, extreme)
    if kind.kind == "b":
        return np.full_like(values, extreme > 0)
    if kind.itemsize == 1:
        info = np.iinfo(kind)
        return np.full_like(values, info.max if extreme > 0 else info.min)
    return np.full_like(values, IDS - 1 if extreme > 0 else 0)
