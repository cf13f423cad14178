"""A head on the logits: probabilities, or the best classes in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgestill.export.heads import add_head, head_count
from edgestill.export.ports import ports, run_samples
from edgestill.export.runtime import open_session
from edgestill.models.errors import BadInput

CLASSES = 7


@pytest.fixture
def classifier() -> onnx.ModelProto:
    """Gives what it gets, (N, 7) float32, as `logits`."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", CLASSES])
        for name in ("images", "logits")
    ]
    node = helper.make_node("Identity", ["images"], ["logits"])
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.fixture
def logits() -> NDArray[np.float32]:
    values = np.random.default_rng(0).normal(0, 3, (5, CLASSES)).astype(np.float32)
    values[3] = [200, 100, 300, 0, -50, 299, -1e30]  # a softmax knows one class of these
    values[4] = 1  # and all of these are equal
    return values


def given(model: onnx.ModelProto, images: NDArray[Any]) -> dict[str, NDArray[Any]]:
    onnx.checker.check_model(model, full_check=True)
    return run_samples(open_session(model.SerializeToString()), {"images": images})


def shares(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found


def test_softmax_gives_probabilities(
    classifier: onnx.ModelProto, logits: NDArray[np.float32]
) -> None:
    add_head(classifier, "softmax")

    found = given(classifier, logits)

    assert list(found) == ["probabilities"]
    # float32: a few roundings of a number below one.
    np.testing.assert_allclose(found["probabilities"], shares(logits), rtol=0, atol=1e-6)


@pytest.mark.parametrize("int32", [False, True])
def test_top_classes_come_in_the_order_of_their_logits(
    classifier: onnx.ModelProto, logits: NDArray[np.float32], int32: bool
) -> None:
    add_head(classifier, "top3", int32=int32)

    found = given(classifier, logits)

    order = np.argsort(-logits, axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(found["classes"], order)
    np.testing.assert_allclose(
        found["scores"], np.take_along_axis(shares(logits), order, axis=1), rtol=0, atol=1e-6
    )
    assert list(found["classes"][3]) == [2, 5, 0], "though all but the first have the score 0"
    told = {port.name: (port.dtype, port.shape) for port in ports(session_of(classifier)).outputs}
    assert told == {
        "scores": ("float32", ("N", 3)),
        "classes": ("int32" if int32 else "int64", ("N", 3)),
    }


def session_of(model: onnx.ModelProto) -> Any:
    return open_session(model.SerializeToString())


def test_as_many_classes_as_there_are_can_be_asked_for(classifier: onnx.ModelProto) -> None:
    add_head(classifier, f"top{CLASSES}")

    found = given(classifier, np.zeros((1, CLASSES), np.float32))

    assert sorted(found["classes"][0]) == list(range(CLASSES))


@pytest.mark.parametrize("head", ["", "top", "top0", "top05", "top-1", "top12345", "Softmax", "5"])
def test_what_is_no_head_is_refused(head: str) -> None:
    with pytest.raises(BadInput, match="expected softmax, or topK"):
        head_count(head)


def test_more_classes_than_there_are_are_refused(classifier: onnx.ModelProto) -> None:
    with pytest.raises(BadInput, match="head top8: the network tells 7 classes apart"):
        add_head(classifier, "top8")


def test_a_head_takes_one_output_of_logits(classifier: onnx.ModelProto, tmp_path: Path) -> None:
    two = onnx.ModelProto()
    two.CopyFrom(classifier)
    two.graph.output.append(helper.make_tensor_value_info("images", TensorProto.FLOAT, None))
    classifier.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16

    with pytest.raises(BadInput, match="has the outputs images, logits"):
        add_head(two, "softmax")
    with pytest.raises(BadInput, match="a head takes float32 logits"):
        add_head(classifier, "softmax")
