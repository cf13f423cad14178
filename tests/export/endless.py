"""ONNX files that are sound by every rule and yet never end, or take all memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from .conftest import classifier


def endless(path: Path) -> Path:
    """A classifier whose images go through a loop of 2^62 rounds first."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["goes"]),
            helper.make_node("Identity", ["before"], ["after"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
        ],
    )
    loop = helper.make_node("Loop", ["rounds", "", "images"], ["seen"], "loop", body=body)
    rounds = numpy_helper.from_array(np.array(2**62), "rounds")
    onnx.save(classifier(before=[loop], constants=[rounds]), path)
    return path


def vast(path: Path, elements: int) -> Path:
    """A classifier that adds the mean of so many random numbers to its images."""
    nodes: list[NodeProto] = [
        helper.make_node("ReduceMean", ["images"], ["one"], keepdims=0),
        helper.make_node("Expand", ["one", "many"], ["all"]),
        helper.make_node("ReduceMean", ["all"], ["mean"], keepdims=0),
        helper.make_node("Add", ["images", "mean"], ["seen"]),
    ]
    many = numpy_helper.from_array(np.array([elements]), "many")
    onnx.save(classifier(before=nodes, constants=[many]), path)
    return path
