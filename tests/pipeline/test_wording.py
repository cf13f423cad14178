"""Numbers as text."""

from __future__ import annotations

import pytest

from edgestill.pipeline.wording import NOT_MEASURED, count, limit, number, percent, size


def test_what_is_null_is_never_written_as_a_number() -> None:
    written = {count(None), number(None), percent(None), size(None), limit("latency_ms", None)}

    assert written == {NOT_MEASURED}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999.6, "1 k"), (999_950, "1 M"), (0.00012345, "0.000123"), (1e12, "1 T")],
)
def test_rounding_reaches_the_next_prefix(value: float, text: str) -> None:
    assert count(value) == text
