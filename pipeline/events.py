"""What happens during a run, told to whoever listens: the console, events.jsonl, TensorBoard.

Kinds: `progress` {label, done, total, unit}, `epoch` {label, epoch, epochs, loss, terms, top1, lr,
seconds, images_per_s}, `note` {text}, `stage` {name, status, why, key, seconds}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"
Sink: TypeAlias = Callable[[str, dict[str, JSON]], None]

_sinks: ContextVar[tuple[Sink, ...]] = ContextVar("edgestill_sinks", default=())


def emit(kind: str, **fields: JSON) -> None:
    """Tell every listener of this context; without one, nothing happens."""
    for sink in _sinks.get():
        sink(kind, fields)


@contextmanager
def listening(sink: Sink) -> Iterator[None]:
    """Within the block, `sink(kind, fields)` gets every event, beside the listeners already there.

    >>> heard = []
    >>> with listening(lambda kind, fields: heard.append((kind, fields))):
    ...     emit("note", text="hello")
    >>> heard
    [('note', {'text': 'hello'})]
    """
    token = _sinks.set((*_sinks.get(), sink))
    try:
        yield
    finally:
        _sinks.reset(token)
