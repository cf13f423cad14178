"""Samples go through any ONNX model row by row, whatever its inputs and outputs are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

from edgestill.export.ports import Port, Ports, ports, run_samples
from edgestill.export.runtime import open_session
from edgestill.models.errors import BadInput

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
Axis = int | str | None


def value(name: str, kind: int, *shape: Axis) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


@pytest.fixture
def session(tmp_path: Path) -> Any:
    """Opens a graph of these nodes: session(nodes, inputs, outputs)."""

    def opened(
        nodes: list[NodeProto], inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]
    ) -> Any:
        graph = helper.make_graph(nodes, "graph", inputs, outputs)
        imports = [helper.make_opsetid("", 18)]
        path = tmp_path / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
        return open_session(path)

    return opened


def normal(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def test_every_input_and_output_is_known_by_name_type_and_shape(session: Any) -> None:
    opened = session(
        [helper.make_node("Gather", ["table", "ids"], ["rows"], axis=0)],
        [value("table", FLOAT, 9, None), value("ids", INT64, "N")],
        [value("rows", FLOAT, "N", "width")],
    )

    found = ports(opened)

    assert found == Ports(
        inputs=(
            Port(name="table", dtype="float32", shape=(9, None)),
            Port(name="ids", dtype="int64", shape=("N",)),
        ),
        outputs=(Port(name="rows", dtype="float32", shape=("N", "width")),),
    )
    assert str(found) == "table float32 (9, ?), ids int64 (N) -> rows float32 (N, width)"


@pytest.mark.parametrize(("first", "batch"), [("N", 3), ("N", 100), (4, 1), (1, 7)])
def test_rows_are_the_same_however_they_are_put_into_batches(
    session: Any, first: Axis, batch: int
) -> None:
    opened = session(
        [
            helper.make_node("Add", ["left", "right"], ["sum"]),
            helper.make_node("ArgMax", ["sum"], ["most"], axis=1, keepdims=0),
        ],
        [value("left", FLOAT, first, 5), value("right", FLOAT, first, 5)],
        [value("sum", FLOAT, first, 5), value("most", INT64, first)],
    )
    left, right = normal(10, 5), normal(10, 5)[::-1]

    found = run_samples(opened, {"left": left, "right": right}, batch=batch)

    assert np.array_equal(found["sum"], left + right)
    assert np.array_equal(found["most"], (left + right).argmax(axis=1))


def test_without_a_shared_batch_axis_a_sample_is_a_call(session: Any) -> None:
    opened = session(
        [helper.make_node("MatMul", ["left", "right"], ["product"])],
        [value("left", FLOAT, 2, 3), value("right", FLOAT, 3, 4)],
        [value("product", FLOAT, 2, 4)],
    )
    left, right = normal(5, 2, 3), normal(5, 3, 4)

    found = run_samples(opened, {"left": left, "right": right})

    assert ports(opened).batch is None
    assert found["product"] == pytest.approx(left @ right, abs=1e-5)  # float32, sums of three


@pytest.mark.parametrize(
    ("feeds", "says"),
    [
        ({"x": normal(4, 3)}, r"takes images, the samples are for x"),
        ({"images": normal(4, 3)}, r"takes images float32 \(N, 2\), a sample is \(3,\)"),
        ({"images": np.zeros((4, 2), np.uint8)}, r"the samples are uint8"),
        ({"images": np.float32(1)}, r"\[0\] rows"),
    ],
)
def test_samples_that_do_not_fit_are_refused(
    session: Any, feeds: dict[str, NDArray[Any]], says: str
) -> None:
    opened = session(
        [helper.make_node("Relu", ["images"], ["seen"])],
        [value("images", FLOAT, "N", 2)],
        [value("seen", FLOAT, "N", 2)],
    )

    with pytest.raises(BadInput, match=says):
        run_samples(opened, {name: np.asarray(values) for name, values in feeds.items()})


def test_a_row_missing_in_an_output_is_refused(session: Any) -> None:
    opened = session(
        [helper.make_node("ReduceSum", ["images"], ["sum"], keepdims=0)],
        [value("images", FLOAT, "N", 2)],
        [value("sum", FLOAT)],
    )

    with pytest.raises(BadInput, match=r"sum is \(\) for 3 samples"):
        run_samples(opened, {"images": normal(3, 2)})


def test_outputs_of_varying_size_are_refused(session: Any) -> None:
    opened = session(
        [helper.make_node("NonZero", ["image"], ["places"])],
        [value("image", FLOAT, 1, 4)],
        [value("places", INT64, 2, "found")],
    )
    images = np.array([[[0, 1, 1, 0]], [[1, 0, 0, 0]]], np.float32)

    with pytest.raises(BadInput, match="places"):
        run_samples(opened, {"image": images})
