"""One seed, one input, whichever engine asks for it."""

from __future__ import annotations

import numpy as np
import pytest

from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.inputs import fixed_sizes, seeded_array


@pytest.mark.parametrize("free", ["N", None, -1])
def test_a_free_first_axis_is_the_batch_in_every_runtimes_notation(free: object) -> None:
    assert fixed_sizes("x", [free, 3, 8, 8], 4) == [4, 3, 8, 8]


def test_a_fixed_batch_other_than_the_one_asked_for_is_refused() -> None:
    with pytest.raises(AgentError, match="'x' has the fixed batch 1, asked for 4"):
        fixed_sizes("x", [1, 3], 4)


def test_a_free_axis_beside_the_batch_is_refused_by_its_name_or_its_place() -> None:
    with pytest.raises(AgentError, match="free axes beside the batch: height, axis 3"):
        fixed_sizes("x", ["N", 3, "height", -1], 1)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    first, again, other = (seeded_array(np, "float32", [2, 3], seed) for seed in (1, 1, 2))

    assert first.shape == (2, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint8", "int64", "bool"])
def test_the_numbers_are_of_the_type_asked_for(dtype: str) -> None:
    made = seeded_array(np, dtype, [100], 0)

    assert made.dtype == np.dtype(dtype)
    assert len(set(made.tolist())) > 1
