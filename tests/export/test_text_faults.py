"""A text of an ONNX file that is not UTF-8 is found wherever it stands."""

from __future__ import annotations

import pytest
from onnx import ModelProto

from edgestill.export.text_faults import text_fault

from .conftest import classifier


def test_a_sound_file_has_none() -> None:
    assert text_fault(classifier()) == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"Conv", "NodeProto.op_type is not UTF-8 text"),
        (b"pooled", "NodeProto.input is not UTF-8 text"),
        (b"pads", "AttributeProto.name is not UTF-8 text"),
        (b"kernel", "is not UTF-8 text"),
        (b"matrix", "is not UTF-8 text"),
        (b"logits", "is not UTF-8 text"),
        (b"classifier", "GraphProto.name is not UTF-8 text"),
    ],
)
def test_broken_text_is_named(text: bytes, says: str) -> None:
    data = classifier().SerializeToString()
    assert text in data

    fault = text_fault(ModelProto.FromString(data.replace(text, b"\xff" + text[1:])))

    assert says in fault
    assert fault.isprintable()
