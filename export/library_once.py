"""onnxscript's library of operators, read once in a process and not anew for every export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

NAME = "get_torchlib_ops"


@contextmanager
def library_read_once() -> Iterator[None]:
    """For its block, torch's exporter gets what onnxscript gave it at the first export.

    At every export it asks for some 500 operators, and each time onnxscript parses the source of
    them all: a third of the export of a small network. A torch that asks in another way is left
    alone.
    """
    from torch.onnx._internal.exporter import _registration

    asked: Any = getattr(_registration, "onnxscript_apis", None)
    read = getattr(asked, NAME, None)
    if read is None:
        yield
        return
    setattr(asked, NAME, partial(_once, read))
    try:
        yield
    finally:
        setattr(asked, NAME, read)


@cache
def _once(read: Callable[[], list[Any]]) -> list[Any]:
    return read()
