"""Whether every text in an ONNX file is text.

Protobuf reads a field of type string that holds no UTF-8 and gives bytes in its place, on which
names can no longer be compared, sorted or written to JSON.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from .model_parts import shown

if TYPE_CHECKING:
    # Published without type information.
    from google.protobuf.descriptor import Descriptor, FieldDescriptor  # type: ignore[import-untyped]
    from google.protobuf.message import Message  # type: ignore[import-untyped]


def text_fault(message: Message) -> str:
    """The first text that is not UTF-8, as a sentence; "" if there is none."""
    stack: list[Any] = [message]
    while stack:
        part = stack.pop()
        texts, inner, repeated = _fields(part.DESCRIPTOR)
        for name, many in texts:
            value = getattr(part, name)
            for text in value if many else (value,):
                if isinstance(text, bytes):
                    return f"{part.DESCRIPTOR.name}.{name} is not UTF-8 text: {shown(text)}"
        stack.extend(getattr(part, name) for name in inner if part.HasField(name))
        for name in repeated:
            stack.extend(getattr(part, name))
    return ""


@cache
def _fields(kind: Descriptor) -> tuple[list[tuple[str, bool]], list[str], list[str]]:
    """A message's text fields (and which are repeated), and those that hold messages."""
    texts = [(field.name, _many(field)) for field in kind.fields if field.type == field.TYPE_STRING]
    held = [field for field in kind.fields if field.message_type is not None]
    once = [field.name for field in held if not _many(field)]
    return texts, once, [field.name for field in held if _many(field)]


def _many(field: FieldDescriptor) -> bool:
    # protobuf 6.31 has the first and warns of the second.
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)
