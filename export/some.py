"""The first few of many, for a line of text."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 3


def some(items: Sequence[str], shown: int = SHOWN) -> str:
    """The first of `items`, and how many more there are.

    >>> some(["a", "b"]), some(["a", "b", "c", "d", "e"])
    ('a; b', 'a; b; c and 2 more')
    """
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return "; ".join(items[:shown]) + more
