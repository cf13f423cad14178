"""The lint: what it finds in files with one fault each, and that it finds nothing in good ones.

No TensorRT runs here. What a release takes was read in its parser's tables and sources; the tests
hold the rules to those, and to real exports.
"""

from __future__ import annotations

import itertools
import random

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from edgestill.export.tensorrt_attributes import RULES
from edgestill.export.tensorrt_finding import Finding
from edgestill.export.tensorrt_lint import (
    VERSIONS,
    lint_every_version,
    operators_of,
    source_of,
    tensorrt_lint,
)
from edgestill.models.errors import BadInput

from .residual_files import residual_files
from .tensorrt_cases import F32, FAULTS, GOOD, codes_of, model, node


def errors(proto: ModelProto) -> dict[str, list[Finding]]:
    """Version -> the errors, the versions without one left out."""
    found = lint_every_version(proto)
    wrong = {v: [f for f in each if f.severity == "error"] for v, each in found.items()}
    return {version: each for version, each in wrong.items() if each}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_an_error_at_the_releases_that_refuse_it(fault: str) -> None:
    proto, versions, words = FAULTS[fault]

    found = errors(proto)

    assert tuple(found) == tuple(versions)
    for each in found.values():
        assert words in " | ".join(map(str, each))
        assert all(finding.source for finding in each)


@pytest.mark.parametrize("kind", GOOD)
def test_what_every_release_takes_is_no_error(kind: str) -> None:
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(GOOD[kind]), full_check=True)

    assert not errors(GOOD[kind])


def warned(proto: ModelProto, version: str) -> str:
    found = tensorrt_lint(proto, version)
    assert not [finding for finding in found if finding.severity == "error"]
    return " | ".join(map(str, found))


def test_what_works_with_a_loss_is_a_warning() -> None:
    integers = model([node("Relu", "x")], x=TensorProto.INT64, y=TensorProto.INT64, opset=17)
    assert "the engine's is int32" in " | ".join(map(str, tensorrt_lint(integers, "8.6")))
    assert warned(integers, "10.3") == ""

    sideways = codes_of(step=np.full(4, 0.1, F32), zero=np.zeros(4, np.int8), axis=1)
    assert "along axis 1 of the weight" in warned(sideways, "10.3")

    bare = model([node("Relu", "x")])
    bare.graph.input[0].name = bare.graph.node[0].input[0] = "images:0"
    assert "trtexec" in warned(bare, "11.4")

    late = model([node("Relu", "x")], opset=22)
    assert "opset 22 is newer than 20" in warned(late, "10.3")
    assert warned(late, "10.16") == ""


def test_a_plugin_of_tensorrt_is_only_a_warning() -> None:
    boxes = model([node("EfficientNMS_TRT", "x")])

    assert "needs TensorRT's plugin EfficientNMS_TRT" in warned(boxes, "8.6")


def test_a_function_of_the_file_is_read_from_10_on() -> None:
    proto = model([helper.make_node("Twice", ["x"], ["y"], "twice", domain="mine")])
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    imports = [helper.make_opsetid("", 17)]
    proto.functions.append(helper.make_function("mine", "Twice", ["a"], ["b"], body, imports))
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(proto))

    assert tuple(errors(proto)) == ("8.6",)


def test_operators_inside_a_branch_are_seen() -> None:
    values = [helper.make_tensor_value_info("inside", TensorProto.FLOAT, None)]
    det = helper.make_graph([helper.make_node("Det", ["x"], ["inside"])], "then", [], values)
    other = [helper.make_tensor_value_info("outside", TensorProto.FLOAT, None)]
    plain = helper.make_graph([helper.make_node("Identity", ["x"], ["outside"])], "else", [], other)
    proto = model(
        [node("If", "flag", then_branch=det, else_branch=plain)], constants={"flag": np.array(True)}
    )

    assert "the parser has no operator Det" in " ".join(map(str, errors(proto)["11.4"]))


def test_a_release_without_a_table_is_refused() -> None:
    with pytest.raises(
        BadInput, match=r"no operator table for TensorRT '9\.3'; known: 8\.6, 10\.3"
    ):
        tensorrt_lint(model([node("Relu", "x")]), "9.3")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tables_name_real_operators_types_and_rules(version: str) -> None:
    kinds = {name.lower() for name in TensorProto.DataType.keys()} | {"float32"}  # noqa: SIM118
    # Of Caffe and old TensorFlow converters; ONNX has none of them.
    inherited = {"ImageScaler", "ParametricSoftplus", "ScaledTanh"}
    table = operators_of(version)

    assert source_of(version)
    assert {name for name in table if not onnx.defs.has(name)} == inherited
    for operator in table.values():
        assert set(operator.types) <= kinds
        assert operator.rule is None or operator.rule in RULES


def test_a_newer_release_takes_every_operator_of_the_older() -> None:
    names = [set(operators_of(version)) for version in VERSIONS]

    assert all(older <= newer for older, newer in itertools.pairwise(names))
    used = {o.rule for version in VERSIONS for o in operators_of(version).values() if o.rule}
    assert used == set(RULES)


def test_the_file_for_tensorrt_passes_at_every_release() -> None:
    for version, findings in lint_every_version(residual_files()["tensorrt"]).items():
        told = [str(finding) for finding in findings if finding.node != "the file"]
        assert told == [], version


def test_files_for_onnx_runtime_are_refused_for_their_codes() -> None:
    for target, words in (
        ("ort-x86", "its codes are uint8"),
        ("ort-arm64", "it has a zero point other than 0"),
    ):
        found = errors(residual_files()[target])

        assert tuple(found) == VERSIONS
        assert any(words in str(finding) for finding in found["10.3"])


def test_broken_files_are_findings_and_no_crash() -> None:
    """Nodes that lost inputs, outputs, attributes or their operator: linted all the same."""
    chance = random.Random(0)
    files = [proto for proto, _, _ in FAULTS.values()] + list(GOOD.values())
    operators = [operator for operator in operators_of("11.4") if operator != "If"]
    for _ in range(150):
        proto = ModelProto()
        proto.CopyFrom(chance.choice(files))
        broken = chance.choice(proto.graph.node)
        match chance.randrange(4):
            case 0:
                del broken.input[:]
            case 1:
                del broken.output[:]
            case 2:
                broken.op_type = chance.choice(operators)
            case _:
                del broken.attribute[:]
                broken.attribute.append(helper.make_attribute("axis", "a word"))

        found = lint_every_version(proto)

        assert set(found) == set(VERSIONS)


def test_a_node_without_its_inputs_is_an_error() -> None:
    proto = model([node("Conv", "x")])

    assert tuple(errors(proto)) == VERSIONS
    assert "lacks inputs" in str(errors(proto)["8.6"][0])
