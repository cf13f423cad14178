"""What is said of a file before anything runs it: side files, tensors, wiring."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgestill.export.check_report import Line
from edgestill.export.check_safety import graph, side_files, tensors
from edgestill.export.check_subject import Subject
from edgestill.export.contract import Contract

from .conftest import classifier

Write = Callable[..., Path]
Say = Callable[[Callable[[Subject], Line], ModelProto], Line]


@pytest.fixture
def say(tmp_path: Path) -> Say:
    """What one line says of a model, which is written to a file first."""

    def said(line: Callable[[Subject], Line], model: ModelProto) -> Line:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return line(
            Subject(
                path=path,
                contract=Contract(),
                asked_target=None,
                reference=None,
                given=None,
                given_labels=None,
                threads=1,
            )
        )

    return said


@pytest.fixture
def beside(tmp_path: Path) -> ModelProto:
    """A sound classifier whose weights lie in weights.bin beside it."""
    model = classifier()
    at = 0
    for tensor in model.graph.initializer:
        data = tensor.raw_data
        with (tmp_path / "weights.bin").open("ab") as file:
            file.write(data)
        tensor.ClearField("raw_data")
        outside(tensor, location="weights.bin", offset=str(at), length=str(len(data)))
        at += len(data)
    return model


def outside(tensor: TensorProto, **told: str) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in told.items():
        tensor.external_data.add(key=key, value=value)


def relu(*names: str, name: str = "") -> onnx.NodeProto:
    return helper.make_node("Relu", [names[0]], [names[1]], name)


def chain(*nodes: onnx.NodeProto, gives: str = "y") -> ModelProto:
    """A model of these nodes, from x (3,) to `gives`."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])
    y = helper.make_tensor_value_info(gives, TensorProto.FLOAT, [3])
    return helper.make_model(helper.make_graph(list(nodes), "chain", [x], [y]))


def test_a_sound_file_passes_all_three(say: Say) -> None:
    for line in (side_files, tensors, graph):
        assert say(line, classifier()).verdict == "pass"


def test_sound_side_files_pass(say: Say, beside: ModelProto) -> None:
    assert say(side_files, beside).found == "2 tensors in 1 files beside the model"
    assert say(side_files, beside).verdict == say(tensors, beside).verdict == "pass"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"location": "../weights.bin"}, "out of the model's folder"),
        ({"location": "a/../../weights.bin"}, "out of the model's folder"),
        ({"location": "/etc/passwd"}, "out of the model's folder"),
        ({"location": "..\\weights.bin"}, "out of the model's folder"),
        ({"location": "C:weights.bin"}, "out of the model's folder"),
        ({"location": "link.bin"}, "out of the model's folder, by a link"),
        ({"location": "circle.bin"}, "cannot be read"),
        ({"location": "gone.bin"}, "cannot be read: No such file"),
        ({"location": "pipe"}, "no regular file"),
        ({"location": "."}, "no regular file"),
        ({"location": ""}, "side file of the name"),
        ({}, "side file of the name"),
        ({"location": "weights.bin", "offset": "100000"}, "which has"),
        ({"location": "weights.bin", "offset": "-4"}, "has offset -4"),
        ({"location": "weights.bin", "length": "99999999999"}, "which has"),
        ({"location": "weights.bin", "length": "8"}, "dims and type need 432"),
        ({"location": "weights.bin", "length": "9" * 5000}, "length 999"),
    ],
)
def test_a_side_file_that_may_not_be_read_fails(
    say: Say, beside: ModelProto, tmp_path: Path, told: dict[str, str], why: str
) -> None:
    (tmp_path / "link.bin").symlink_to("/etc/passwd")
    (tmp_path / "circle.bin").symlink_to("circle.bin")
    os.mkfifo(tmp_path / "pipe")
    outside(beside.graph.initializer[0], **told)

    line = say(side_files, beside)

    assert line.verdict == "fail"
    assert line.why.startswith("kernel ")
    assert why in line.why


def test_a_cache_of_links_into_one_folder_passes(say: Say, tmp_path: Path) -> None:
    # As Hugging Face's: snapshots/REVISION/* are links into blobs.
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    model = classifier()
    onnx.save(model, blobs / "m", save_as_external_data=True, location="w", size_threshold=0)
    for name in ("m", "w"):
        (snapshot / name).symlink_to(f"../blobs/{name}")
    subject = Subject(
        path=snapshot / "m",
        contract=Contract(),
        asked_target=None,
        reference=None,
        given=None,
        given_labels=None,
        threads=1,
    )

    assert side_files(subject).verdict == tensors(subject).verdict == "pass"


def test_nan_in_a_side_file_is_found(say: Say, beside: ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(path.read_bytes()[:-4] + np.float32("nan").tobytes())

    assert "matrix has NaN or Inf in 1 of 20 values" in say(tensors, beside).why


def of_dims(*dims: int) -> TensorProto:
    return TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=b"\0" * 16)


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (of_dims(2**29), "holds 16 bytes; its dims and type need 2,147,483,648"),
        (of_dims(2**32, 2**32), "more than any file holds"),
        (of_dims(-1, -4), "negative"),
        (of_dims(0), "holds 16 bytes; its dims and type need 0"),
        (TensorProto(name="w", data_type=99, dims=[4], raw_data=b"1234"), "element type 99"),
        (
            TensorProto(name="w", data_type=1, dims=[1], raw_data=b"1234", float_data=[1.0]),
            "holds its values twice",
        ),
        (TensorProto(name="w", data_type=7, dims=[1], float_data=[1.0]), "has them in int64_data"),
        (TensorProto(name="w", data_type=8, dims=[2], string_data=[b"a"]), "holds 1 texts"),
        (numpy_helper.from_array(np.array([1, np.inf], np.float16), "w"), "Inf in 1 of 2"),
        (helper.make_tensor("w", TensorProto.FLOAT16, [2], [1.0, np.nan]), "Inf in 1 of 2"),
        (helper.make_tensor("w", TensorProto.BFLOAT16, [2], [1.0, np.nan]), "Inf in 1 of 2"),
        (helper.make_tensor("w", TensorProto.DOUBLE, [2], [np.nan, np.nan]), "Inf in 2 of 2"),
        (helper.make_tensor("w", TensorProto.FLOAT8E4M3FN, [2], [1.0, np.nan]), "Inf in 1 of 2"),
        (
            TensorProto(name="w", data_type=14, dims=[1], float_data=[0.0, float("nan")]),
            "1 of 2",
        ),
    ],
)
def test_a_tensor_that_is_not_what_it_says_fails(say: Say, tensor: TensorProto, why: str) -> None:
    line = say(tensors, classifier(constants=[tensor]))

    assert line.verdict == "fail"
    assert line.why.startswith("w ")
    assert why in line.why


@pytest.mark.parametrize(
    "kind", [k for k in TensorProto.DataType.values() if k not in (0, 8, 27, 28)]
)
@pytest.mark.parametrize("raw", [False, True])
def test_every_element_type_as_onnx_writes_it_passes(say: Say, kind: int, raw: bool) -> None:
    # 5 values, so that types of 4 and 2 bits fill their last byte in part.
    values = np.ones(5, helper.tensor_dtype_to_np_dtype(kind))
    tensor = (
        numpy_helper.from_array(values, "w")
        if raw
        else helper.make_tensor("w", kind, [5], values.tolist())
    )

    assert say(tensors, classifier(constants=[tensor])).why == ""


def test_a_tensor_in_a_branch_or_a_function_is_looked_at(say: Say) -> None:
    bad = numpy_helper.from_array(np.array([np.nan], np.float32), "bad")
    constant = helper.make_node("Constant", [], ["c"], "inner", value=bad)
    branch = helper.make_graph([constant], "b", [], [helper.make_empty_tensor_value_info("c")])
    nested = chain(helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch))
    held = helper.make_function("d", "f", ["a"], ["c"], [constant], [helper.make_opsetid("", 18)])
    called = chain(helper.make_node("f", ["x"], ["y"], domain="d"))
    called.functions.append(held)

    for model in (nested, called):
        assert "inner has NaN or Inf" in say(tensors, model).why


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ([65536, 65536], "more than 2^31 - 1 elements"),
        ([-1, 3], "negative size"),
        (["N", 0], "size 0"),
    ],
)
def test_a_shape_that_cannot_be_fails(say: Say, shape: list[int | str], why: str) -> None:
    model = chain(relu("x", "y"))
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, shape))

    assert why in say(tensors, model).why


def test_a_free_axis_counts_as_one(say: Say) -> None:
    model = chain(relu("x", "y"))
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 65535, 32768])
    model.graph.input[0].CopyFrom(value)

    assert say(tensors, model).verdict == "pass"


def deep(levels: int) -> ModelProto:
    node = relu("x", "y")
    for _ in range(levels):
        graph_ = helper.make_graph([node], "b", [], [helper.make_empty_tensor_value_info("y")])
        node = helper.make_node("If", ["x"], ["y"], then_branch=graph_, else_branch=graph_)
    return chain(node)


def functions(calls: dict[str, list[str]]) -> ModelProto:
    """Functions by the names of those that they call, the first one called by the model."""
    model = chain(helper.make_node(next(iter(calls)), ["x"], ["y"], domain="d"))
    for name, inner in calls.items():
        nodes = [
            helper.make_node(each, ["a"], [f"v{i}"], domain="d") for i, each in enumerate(inner)
        ]
        nodes.append(helper.make_node("Relu", ["a"], ["b"]))
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("d", 1)]
        model.functions.append(helper.make_function("d", name, ["a"], ["b"], nodes, opsets))
    return model


def repeated_initializer() -> ModelProto:
    model = classifier()
    model.graph.initializer.add().CopyFrom(model.graph.initializer[0])
    return model


def hidden() -> ModelProto:
    branch = helper.make_graph(
        [relu("x", "h")], "b", [], [helper.make_empty_tensor_value_info("h")]
    )
    node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    return chain(relu("x", "h"), node)


def bombs(count: int) -> ModelProto:
    return functions({f"f{i}": [f"f{i + 1}"] * 2 for i in range(count)} | {f"f{count}": []})


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (chain(relu("a", "b", name="first"), relu("b", "a")), "a cycle: first"),
        (chain(relu("h", "y"), relu("x", "h")), "nodes stand before those"),
        (chain(relu("nowhere", "y", name="n")), "n reads nowhere, which nothing makes"),
        (chain(relu("x", "h")), "the output y is made by nothing"),
        (chain(relu("x", "y"), relu("x", "y")), "the value y is made twice"),
        (chain(relu("x", "x"), relu("x", "y")), "the value x is made twice"),
        (chain(relu("x", "h", name="n"), relu("h", "y", name="n")), "two nodes have the name n"),
        (chain(helper.make_node("", ["x"], ["y"], "n")), "node n names no operator"),
        (repeated_initializer(), "the value kernel is made twice"),
        (hidden(), "the value h hides one of the graph around it"),
        (deep(9), "9 deep"),
        (functions({"f": ["g"], "g": ["f"]}), "calls itself"),
        (functions({"f": ["f"]}), "function f calls itself"),
        (bombs(40), "unfold to"),
        (chain(relu("x", "a\x1b[2J\n"), relu("b" * 10_000, "y", name="n")), "bbb..., which"),
    ],
)
def test_wiring_that_cannot_run_fails(say: Say, model: ModelProto, why: str) -> None:
    line = say(graph, model)

    assert line.verdict == "fail"
    assert why in line.why
    assert line.why.isprintable()


@pytest.mark.parametrize("model", [deep(8), functions({"f": ["g", "g"], "g": []}), bombs(15)])
def test_wiring_that_is_deep_or_calls_functions_passes(say: Say, model: ModelProto) -> None:
    assert say(graph, model).why == ""


def test_an_inner_graph_reads_what_stands_before_it(say: Say) -> None:
    branch = helper.make_graph(
        [relu("h", "z")], "b", [], [helper.make_empty_tensor_value_info("z")]
    )
    node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)

    assert say(graph, chain(relu("x", "h"), node)).why == ""
    assert "reads h, which nothing makes" in say(graph, chain(node, relu("x", "h"))).why
