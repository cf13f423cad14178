"""An ONNX file's inputs and number types, read without the onnx package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.onnx_file import read_onnx

WriteModel: TypeAlias = Callable[..., Path]


def test_sizes_names_and_nameless_axes_of_the_inputs_are_read(write_model: WriteModel) -> None:
    found = read_onnx(write_model("batch", 3, 640, 8))

    assert found.inputs == {"images": ["batch", 3, 640, 8]}
    assert not found.quantized
    assert not found.half


def test_float16_inputs_are_noticed(write_model: WriteModel) -> None:
    assert read_onnx(write_model(kind=TensorProto.FLOAT16)).half


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_weights_that_are_declared_as_inputs_are_none_and_their_type_counts(
    tmp_path: Path, dtype: type
) -> None:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    declared = [helper.make_tensor_value_info(name, kind, [None, 2]) for name in ("x", "w")]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "old",
        declared,
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(np.zeros((1, 2), dtype), "w")],
    )
    save(helper.make_model(graph), tmp_path / "old.onnx")

    found = read_onnx(tmp_path / "old.onnx")

    assert found.inputs == {"x": [None, 2]}
    assert found.half == (dtype is np.float16)


def test_quantized_files_are_noticed(tmp_path: Path) -> None:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
        ],
        "quantized",
        [info("x", TensorProto.FLOAT, ["N", 4])],
        [info("y", TensorProto.FLOAT, ["N", 4])],
        [
            numpy_helper.from_array(np.array(0.1, np.float32), "s"),
            numpy_helper.from_array(np.array(0, np.int8), "z"),
        ],
    )
    save(helper.make_model(graph), tmp_path / "int8.onnx")

    assert read_onnx(tmp_path / "int8.onnx").quantized


@pytest.mark.parametrize("kept", [0, 1, 10, 100, 300])
def test_a_file_that_was_cut_off_is_refused(tiny_model: Path, kept: int) -> None:
    tiny_model.write_bytes(tiny_model.read_bytes()[:kept])

    with pytest.raises(AgentError, match=r"tiny\.onnx is no ONNX model"):
        read_onnx(tiny_model)


@pytest.mark.parametrize("content", [b"no model at all", b"\xff" * 40, b"\x3a\x00", b"\x00" * 9])
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "else.onnx"
    path.write_bytes(content)

    with pytest.raises(AgentError, match="is no ONNX model"):
        read_onnx(path)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"cannot read the model file .*No such file"):
        read_onnx(tmp_path / "absent.onnx")
