"""A session opens quietly or says in one line why not; images go through in batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgestill.export.runtime import infer, one_line, open_session, signature
from edgestill.models.errors import BadInput

Write = Callable[..., Path]


def test_logits_are_those_of_the_same_arithmetic_in_numpy(
    good: Path, images: NDArray[np.float32]
) -> None:
    model = onnx.load(good)
    kernel, matrix = (onnx.numpy_helper.to_array(t) for t in model.graph.initializer)
    padded = np.pad(images[:2], ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    pooled = np.maximum(np.einsum("nchwij,kcij->nkhw", windows, kernel), 0).mean(axis=(2, 3))

    logits = infer(open_session(good), images[:2])

    # float32 sums of 27 products and 64 pixels in another order
    np.testing.assert_allclose(logits, pooled @ matrix, rtol=1e-5, atol=1e-5)


def test_the_batch_size_does_not_change_the_rows(good: Path, images: NDArray[np.float32]) -> None:
    session = open_session(good)

    logits = infer(session, images, batch=7)

    assert logits.shape == (64, 5)
    # other kernels for other batch sizes: float32 rounding
    np.testing.assert_allclose(logits, infer(session, images, batch=64), rtol=0, atol=1e-5)


def test_a_fixed_batch_is_filled_up_and_cut_back(
    good: Path, write_classifier: Write, images: NDArray[np.float32]
) -> None:
    fixed = open_session(write_classifier("fixed", batch=5))

    logits = infer(fixed, images[:7])

    free = infer(open_session(good), images[:7])
    np.testing.assert_allclose(logits, free, rtol=0, atol=1e-5)  # float32 rounding


def test_a_session_opens_from_bytes(good: Path, images: NDArray[np.float32]) -> None:
    session = open_session(good.read_bytes())

    assert infer(session, images[:1]).shape == (1, 5)


def test_the_optimized_graph_is_written(good: Path, tmp_path: Path) -> None:
    where = tmp_path / "optimized.onnx"

    open_session(good, optimized_to=where)

    assert "Relu" not in {node.op_type for node in onnx.load(where).graph.node}


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "opset", "ir"])
def test_a_broken_file_is_one_line_and_silence(
    damage: str, write_classifier: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_classifier("broken", opset=99 if damage == "opset" else 18)
    if damage == "garbage":
        path.write_bytes(b"\x00not a model" * 9)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "ir":
        path = write_classifier("broken", ir=99)

    with pytest.raises(BadInput) as caught:
        open_session(path)

    assert "\n" not in str(caught.value)
    assert "broken.onnx: ONNX Runtime does not load it" in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.onnx: no such file"):
        open_session(tmp_path / "absent.onnx")
    with pytest.raises(BadInput, match="is a folder"):
        open_session(tmp_path)


def test_a_failing_run_is_one_line_and_silence(
    batch_baked_in: Path, images: NDArray[np.float32], capfd: pytest.CaptureFixture[str]
) -> None:
    session = open_session(batch_baked_in)

    with pytest.raises(BadInput, match=r"the model fails on \(3, 3, 8, 8\)") as caught:
        infer(session, images[:3])

    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "shape", [(1, 3, 9, 8), (1, 4, 8, 8), (3, 8, 8), (0, 3, 8, 8)], ids=["H", "C", "rank", "N"]
)
def test_images_that_do_not_fit_are_refused(good: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match=r"images"):
        infer(open_session(good), np.zeros(shape, np.float32))


def test_a_half_precision_model_takes_float32_images(
    tmp_path: Path, images: NDArray[np.float32]
) -> None:
    halves = helper.make_tensor_value_info("images", TensorProto.FLOAT16, ["N", 3, 8, 8])
    rows = helper.make_tensor_value_info("logits", TensorProto.FLOAT16, ["N", 192])
    flatten = helper.make_node("Flatten", ["images"], ["logits"])
    model = helper.make_model(
        helper.make_graph([flatten], "half", [halves], [rows]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    onnx.save(model, tmp_path / "half.onnx")

    logits = infer(open_session(tmp_path / "half.onnx"), images[:2])

    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, images[:2].reshape(2, -1).astype(np.float16))


def test_two_outputs_are_no_classifier(tmp_path: Path) -> None:
    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3, 8, 8])

    nodes = [helper.make_node(op, ["images"], [op]) for op in ("Relu", "Neg")]
    graph = helper.make_graph(nodes, "two", [value("images")], [value("Relu"), value("Neg")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "two.onnx")

    with pytest.raises(BadInput, match=r"2 outputs \(Relu, Neg\)"):
        signature(open_session(tmp_path / "two.onnx"))


def test_a_runtime_error_loses_its_codes_and_addresses() -> None:
    raw = ValueError(
        "[ONNXRuntimeError] : 1 : FAIL : Load model from a b.onnx failed:"
        "/onnxruntime_src/core/graph/model.cc:256 Model::Model(onnx::ModelProto&&)"
        " Unsupported model IR version: 99,\nmax supported IR version: 14"
    )

    text = one_line(raw)

    assert text.endswith("Unsupported model IR version: 99, max supported IR version: 14")
    assert "onnxruntime_src" not in text
