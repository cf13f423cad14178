"""What a search keeps does not depend on how the space was cut into chunks."""

from __future__ import annotations

import numpy as np
import pytest

from edgestill.models.budget import Budget
from edgestill.models.cost import Cost
from edgestill.models.space import Space
from edgestill.models.weighed import ROW, Weighed

from .small_space import SPACE, SPECS, Small

BUDGET = Budget(macs=6_000_000, params=20_000)


def weighed(space: Space, chunk: int, top: int = 7) -> Weighed:
    kept = Weighed(top)
    for each in space.chunks(chunk):
        cost = Small.priced(each.shape)
        kept.add(each.rows, cost, BUDGET.limits(cost), Small.unevenness(each.shape))
    return kept


@pytest.mark.parametrize("chunk", [1, 2, 7, 50, 10**6])
def test_the_same_is_kept_of_large_and_of_small_chunks(chunk: int) -> None:
    whole, cut = weighed(SPACE, len(SPACE)), weighed(SPACE, chunk)

    assert whole.frontier is not None and cut.frontier is not None
    np.testing.assert_array_equal(cut.best(), whole.best())
    np.testing.assert_array_equal(cut.frontier, whole.frontier)
    assert cut.nearest() == whole.nearest()
    assert (cut.count, cut.fitting) == (len(SPACE), whole.fitting)


def test_of_equal_networks_the_first_row_comes_first() -> None:
    best = weighed(SPACE, 50, top=len(SPACE)).best()

    rows = [int(row) for row in best[ROW]]
    for spec in {SPECS[row] for row in rows}:
        equals = [row for row in rows if SPECS[row] == spec]
        assert equals == sorted(equals)
    assert len({SPECS[row] for row in rows}) < len(rows)  # equals are among them


def test_an_even_network_comes_first_if_it_is_about_as_large() -> None:
    kept = Weighed(top=4)
    macs = np.array([1000, 951, 950, 980, 970])
    cost = Cost(macs=macs, params=macs, peak_activation_bytes=1, bytes_fp32=1, bytes_int8=1)  # type: ignore[arg-type]

    kept.add(np.arange(5), cost, (), np.array([3, 0, 0, 1, 1]))

    assert kept.best()[ROW].tolist() == [1, 3, 4, 0]
