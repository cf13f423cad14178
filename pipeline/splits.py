"""Seeded orders and stratified splits that stay the same on every machine and library version.

NumPy promises the raw bits of PCG64 and SeedSequence for good, but not what `permutation` or
`shuffle` makes of them; orders here are a stable sort of raw bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def raw_draws(count: int, *, seed: tuple[int, ...]) -> NDArray[np.uint64]:
    """`count` independent uniform 64-bit numbers (count,) that depend on `seed` alone.

    >>> raw_draws(1, seed=(0, 1)) == raw_draws(2, seed=(0, 1))[:1]
    array([ True])
    """
    import numpy as np

    bits = np.random.PCG64(np.random.SeedSequence([part % 2**64 for part in seed]))
    return np.asarray(bits.random_raw(count), np.uint64)


def seeded_order(count: int, *, seed: tuple[int, ...]) -> NDArray[np.int64]:
    """The numbers 0 .. count - 1 in an order fixed by `seed`, (count,)."""
    import numpy as np

    return raw_draws(count, seed=seed).argsort(kind="stable").astype(np.int64)


def carve(
    rows: NDArray[np.int64], labels: NDArray[np.int64], fraction: float, *, seed: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rest, part) of `rows`, both ascending: `part` holds round(fraction * N), class by class.

    Each class gives its share rounded down; the places left go to the classes with the largest
    remainders. `labels` belong to the source, so `labels[rows]` are those of the rows.
    """
    import numpy as np

    total = round(fraction * len(rows))
    classes, member = np.unique(labels[rows], return_inverse=True)
    shares = np.bincount(member, minlength=len(classes)) * fraction
    take = np.floor(shares).astype(np.int64)
    short = max(total - int(take.sum()), 0)
    take[(take - shares).argsort(kind="stable")[:short]] += 1

    order = seeded_order(len(rows), seed=seed)
    chosen = np.zeros(len(rows), np.bool_)
    for one, count in enumerate(take):
        chosen[order[member[order] == one][:count]] = True
    return np.sort(rows[~chosen]), np.sort(rows[chosen])
