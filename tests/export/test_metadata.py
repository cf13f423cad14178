"""What a file says of itself: written in one way only, and believed only where it can be true."""

from __future__ import annotations

import json
from typing import Any

import onnx
import pytest
import torch
from onnx import helper

from edgestill.export.metadata import read_metadata, state_sha256, versions, write_metadata
from edgestill.models.errors import BadInput

FACTS: dict[str, Any] = {
    "source": "torchvision:resnet18",
    "classes": ["cat", "dog"],
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.2, 0.2],
    "input": {"dtype": "uint8", "layout": "hwc", "range": [0, 255], "normalised": "inside"},
    "precision": "int8",
    "target": "ort-x86",
    "recipe": {"seed": 0, "distill": {"epochs": 3}},
    "quantization": {"method": "mse", "weights": "per-channel", "ranges_sha256": "0" * 64},
    "weights_sha256": "f" * 64,
    "runtime": None,
}


@pytest.fixture
def model() -> onnx.ModelProto:
    graph = helper.make_graph([], "g", [], [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_what_is_written_is_read_back(model: onnx.ModelProto) -> None:
    write_metadata(model, FACTS)

    told = read_metadata(model)

    assert told["classes"] == ("cat", "dog")
    assert told["input"]["range"] == (0, 255)
    assert told["quantization"]["float_type"] == "float32"
    assert told["recipe"] == FACTS["recipe"]
    assert "runtime" not in told


def test_the_order_of_the_facts_does_not_matter(model: onnx.ModelProto) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(model)

    write_metadata(model, FACTS)
    write_metadata(other, dict(reversed(FACTS.items())))

    assert model.SerializeToString() == other.SerializeToString()


def test_a_file_of_others_says_nothing(model: onnx.ModelProto) -> None:
    model.metadata_props.add(key="author", value="somebody")
    model.metadata_props.add(key="edgestill.of_a_later_version", value="not even JSON")

    assert read_metadata(model) == {}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mean", "0.5", r"edgestill\.mean"),
        ("mean", "[1e999]", r"edgestill\.mean"),
        ("mean", '["a"]', r"edgestill\.mean"),
        ("mean", "[" * 100_000, "edgestill.mean is not JSON"),
        ("std", "[0.0]", r"edgestill\.std\.0"),
        ("std", "[0.1", "edgestill.std is not JSON"),
        ("classes", "[1, 2]", r"edgestill\.classes"),
        ("precision", "fp64", r"edgestill\.precision"),
        ("weights_sha256", "../../etc", r"edgestill\.weights_sha256"),
        ("input", '{"dtype": "float64"}', r"edgestill\.input"),
        ("source", "x" * 2**21, "has 2,097,152 characters"),
    ],
)
def test_what_cannot_be_true_is_refused_in_one_line(
    model: onnx.ModelProto, key: str, value: str, message: str
) -> None:
    model.metadata_props.add(key=f"edgestill.{key}", value=value)

    with pytest.raises(BadInput, match=message) as refused:
        read_metadata(model)
    assert "\n" not in str(refused.value)


def test_a_key_that_stands_twice_is_refused(model: onnx.ModelProto) -> None:
    for target in ("ort-x86", "tensorrt"):
        model.metadata_props.add(key="edgestill.target", value=target)

    with pytest.raises(BadInput, match=r"edgestill\.target twice"):
        read_metadata(model)


def test_the_hash_is_of_names_types_sizes_and_numbers() -> None:
    state = {"a": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}

    hashes = {
        state_sha256(each)
        for each in (
            state,
            dict(reversed(state.items())),
            {**state, "a": state["a"].t()},
            {**state, "a": state["a"].reshape(3, 2)},
            {**state, "a": state["a"].to(torch.bfloat16)},
            {**state, "a": state["a"] + torch.finfo().eps},
            {"b": state["a"], "n": state["n"]},
        )
    }

    assert len(hashes) == 6, "only the order of the names has no part in it"


def test_versions_are_those_of_the_file_and_of_what_wrote_it(model: onnx.ModelProto) -> None:
    told = versions(model)

    assert (told["opset"], told["ir_version"]) == (18, 8)
    assert told["onnx"] == onnx.__version__
    assert json.dumps(told)
