"""Inputs made from a seed, the same for every engine: a free first axis is the batch."""

from __future__ import annotations

from typing import Any, Sequence

from .errors import AgentError


def fixed_sizes(name: str, shape: Sequence[Any], batch: int) -> list[int]:
    """The sizes of input `name` at this batch. A free axis is a name, None or -1.

    >>> fixed_sizes("x", ["N", 3, 8, 8], 2)
    [2, 3, 8, 8]

    Raises:
        AgentError: the batch is fixed at another number, or another axis is free.
    """
    sizes = list(shape)
    if sizes and not _is_size(sizes[0]):
        sizes[0] = batch
    elif sizes and sizes[0] != batch:
        raise AgentError(
            "request", f"input {name!r} has the fixed batch {sizes[0]}, asked for {batch}"
        )
    free = [
        size if isinstance(size, str) else f"axis {axis}"
        for axis, size in enumerate(sizes)
        if not _is_size(size)
    ]
    if free:
        raise AgentError(
            "request",
            f"input {name!r} has free axes beside the batch: {', '.join(free)};"
            " export it with fixed sizes",
        )
    return sizes


def seeded_array(numpy: Any, dtype: str, sizes: Sequence[int], seed: int) -> Any:
    """An array of numpy's type `dtype`: normal numbers, or 0 and 1 where they are whole."""
    generator = numpy.random.default_rng(seed)
    wanted = numpy.dtype(dtype)
    if wanted.kind == "f":
        return generator.standard_normal(sizes, dtype=numpy.float32).astype(wanted)
    return generator.integers(0, 2, size=sizes).astype(wanted)  # valid as indices, too


def _is_size(size: Any) -> bool:
    return isinstance(size, int) and size >= 0
