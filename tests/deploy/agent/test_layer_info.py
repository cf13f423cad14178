"""The engine inspector's JSON, in the forms that it has."""

from __future__ import annotations

import json

import pytest

from edgestill.deploy.agent.layer_info import layer_counts


def layer(*formats: str) -> dict[str, object]:
    tensors = [{"Name": "x", "Format/Datatype": told} for told in formats]
    return {"Name": "conv", "Inputs": tensors[:1], "Outputs": tensors[1:]}


def test_layers_that_read_or_write_int8_are_counted() -> None:
    layers = [
        layer("Row major linear FP32", "Thirty-two wide channel vectorized row major Int8 format"),
        layer("INT8 NC/32HW32", "Row major linear FP16"),
        layer("Row major linear FP32", "Row major linear FP32"),
        layer("Row major linear UINT8", "Row major linear FP32"),
    ]

    assert layer_counts(json.dumps({"Layers": layers})) == {"layers": 4, "int8_layers": 2}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"Layers": []}', '{"Layers": ["conv", "fc"]}', '{"Layers": 1}']
)
def test_names_alone_tell_nothing_of_types(text: str) -> None:
    assert layer_counts(text) is None
