"""Models that are no float classifiers, and files that would fool a careless check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgestill.export.check import check_model
from edgestill.export.check_report import CheckReport
from edgestill.export.contract import Contract, ParityLimits
from edgestill.export.recorded import record
from edgestill.models.errors import BadInput

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
ROWS = np.random.default_rng(0).standard_normal((64, 4), dtype=np.float32)


def saved(
    path: Path, nodes: list[NodeProto], inputs: Any, outputs: Any, constants: Any = ()
) -> Path:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    imports = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
    return path


def two_outputs(path: Path, name: str = "label", bias: int = 0) -> Path:
    """Scores, and the number of the largest, moved by `bias`."""
    nodes = [
        helper.make_node("Identity", ["x"], ["scores"]),
        helper.make_node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
        helper.make_node("Add", ["best", "bias"], [name]),
    ]
    return saved(
        path,
        nodes,
        [("x", FLOAT, ["N", 4])],
        [("scores", FLOAT, ["N", 4]), (name, INT64, ["N"])],
        [("bias", np.int64(bias))],
    )


def fine(report: CheckReport) -> dict[str, str]:
    return {line.name: line.why or line.found for line in report.lines if line.verdict != "pass"}


def test_an_input_without_axes_is_a_number(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "scalar.onnx",
        [helper.make_node("Mul", ["x", "factor"], ["y"])],
        [("x", FLOAT, [3]), ("factor", FLOAT, [])],
        [("y", FLOAT, [3])],
    )

    report = check_model(path, contract=Contract())

    assert set(fine(report)) == {"batch_invariant"}
    assert report.ok


def test_a_fixed_axis_that_the_output_has_not_is_no_batch(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "dot.onnx",
        [helper.make_node("MatMul", ["a", "b"], ["y"])],
        [("a", FLOAT, [5]), ("b", FLOAT, [5])],
        [("y", FLOAT, [])],
    )

    assert check_model(path, contract=Contract()).ok


def test_what_gives_no_tensors_is_skipped_and_not_failed(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "sequence.onnx",
        [helper.make_node("SplitToSequence", ["x"], ["parts"])],
        [("x", FLOAT, [2, 3])],
        [],
    )
    model = onnx.load(path)
    model.graph.output.append(helper.make_tensor_sequence_value_info("parts", FLOAT, None))
    onnx.save(model, path)

    line = check_model(path, contract=Contract()).line("loads")

    assert line.verdict == "skipped"
    assert "only tensors of numbers" in line.why


def test_a_wrong_whole_number_is_seen_where_only_floats_have_limits(tmp_path: Path) -> None:
    good, wrong = two_outputs(tmp_path / "good.onnx"), two_outputs(tmp_path / "bad.onnx", bias=1)
    contract = Contract(parity=ParityLimits(relative=1e-3))

    reports = [check_model(path, contract=contract, reference=good) for path in (good, wrong)]

    assert [report.line("parity.equal").verdict for report in reports] == ["pass", "fail"]


def test_scores_that_are_called_classes_are_scores(tmp_path: Path) -> None:
    def named(path: Path, order: list[int]) -> Path:
        return saved(
            path,
            [helper.make_node("Gather", ["x", "order"], ["classes"], axis=1)],
            [("x", FLOAT, ["N", 4])],
            [("classes", FLOAT, ["N", 4])],
            [("order", np.array(order))],
        )

    good, turned = (
        named(tmp_path / "a.onnx", [0, 1, 2, 3]),
        named(tmp_path / "b.onnx", [3, 2, 1, 0]),
    )
    labels = ROWS.argmax(axis=1)

    line = check_model(
        turned, contract=Contract(top1_drop=0.1), reference=good, samples=ROWS, labels=labels
    ).line("top1_drop")

    assert line.verdict == "fail"
    assert line.figures["top1_reference"] == 1.0


@pytest.mark.parametrize("labels", [np.zeros((64, 1), np.int64), np.full(64, -1)])
def test_labels_of_a_record_are_looked_over(tmp_path: Path, labels: Any) -> None:
    path = two_outputs(tmp_path / "good.onnx")
    record(tmp_path / "r.npz", {"x": ROWS}, {"scores": ROWS}, labels)

    with pytest.raises(BadInput, match="label"):
        check_model(path, contract=Contract(), reference=tmp_path / "r.npz")


def test_an_unread_float16_constant_does_not_loosen_parity(tmp_path: Path) -> None:
    def scaled(path: Path, factor: float, more: Any = ()) -> Path:
        return saved(
            path,
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            [("x", FLOAT, ["N", 4])],
            [("y", FLOAT, ["N", 4])],
            [("w", np.eye(4, dtype=np.float32) * np.float32(factor)), *more],
        )

    good = scaled(tmp_path / "good.onnx", 1.0)
    wrong = scaled(tmp_path / "wrong.onnx", 1.04, [("unread", np.ones(3, np.float16))])

    assert check_model(wrong, contract=Contract(), reference=good).line("parity").verdict == "fail"


def test_a_weight_outside_inside_a_branch_is_outside(tmp_path: Path) -> None:
    def branch(name: str) -> Any:
        weight = numpy_helper.from_array(np.ones(4, np.float32), f"w{name}")
        node = helper.make_node("Identity", [f"w{name}"], [f"y{name}"])
        out = helper.make_tensor_value_info(f"y{name}", FLOAT, [4])
        return helper.make_graph([node], name, [], [out], [weight])

    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("a"), else_branch=branch("b"))
    path = saved(tmp_path / "if.onnx", [node], [("c", TensorProto.BOOL, [])], [("y", FLOAT, [4])])
    model = onnx.load(path)
    held = model.graph.node[0].attribute[0].g.initializer[0]
    (tmp_path / "w.data").write_bytes(held.raw_data)
    onnx.external_data_helper.set_external_data(held, "w.data")
    held.ClearField("raw_data")
    onnx.save(model, path)

    line = check_model(path, contract=Contract()).line("single_file")

    assert line.verdict == "fail"
    assert "w.data" in line.found


def test_a_fixed_batch_shares_its_macs(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "four.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [("x", FLOAT, [4, 4])],
        [("y", FLOAT, [4, 10])],
        [("w", np.ones((4, 10), np.float32))],
    )

    line = check_model(path, contract=Contract(max_macs=40)).line("max_macs")

    assert line.verdict == "pass"
    assert line.figures["macs"] == 40


def test_an_int8_limit_of_another_target_is_none_for_this_one(tmp_path: Path) -> None:
    path = two_outputs(tmp_path / "good.onnx")

    report = check_model(path, contract=Contract(int8_fraction={"tensorrt": 0.9}), target="ort-x86")

    assert report.unchecked == ()
