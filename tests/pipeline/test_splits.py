"""Orders and splits depend on the seed and on nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgestill.pipeline.splits import carve, raw_draws, seeded_order


def test_the_draws_are_those_of_every_other_machine() -> None:
    # PCG64's raw bits are fixed by NumPy's compatibility policy; these were written down once.
    assert raw_draws(2, seed=(0, 0)).tolist() == [11749869230777074271, 4976686463289251617]
    assert seeded_order(8, seed=(7, 1)).tolist() == [1, 3, 2, 7, 4, 5, 0, 6]


def test_an_order_holds_every_number_once() -> None:
    assert sorted(seeded_order(1000, seed=(1,))) == list(range(1000))


def test_other_seeds_give_other_orders() -> None:
    orders = {tuple(seeded_order(50, seed=(seed, epoch))) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


def test_a_negative_seed_is_a_seed() -> None:
    assert not np.array_equal(seeded_order(50, seed=(-1,)), seeded_order(50, seed=(1,)))


labels = st.lists(st.integers(0, 6), min_size=1, max_size=200).map(np.array)


@given(labels=labels, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**63))
def test_a_carved_part_is_whole_disjoint_and_spread_over_classes(
    labels: np.ndarray, fraction: float, seed: int
) -> None:
    rows = np.arange(len(labels)) + 5  # rows of a larger source
    source = np.concatenate([np.zeros(5, np.int64), labels])
    rest, part = carve(rows, source, fraction, seed=(seed,))
    assert sorted([*rest, *part]) == rows.tolist()
    assert len(part) == round(fraction * len(labels))
    for one in np.unique(labels):
        share = fraction * (labels == one).sum()
        assert abs((source[part] == one).sum() - share) <= 1


def test_a_carved_part_is_not_the_first_of_each_class() -> None:
    _, part = carve(np.arange(100), np.arange(100) % 2, 0.2, seed=(0,))
    assert part.max() > 50
