"""Misplaced Q/DQ: found where one pair is taken away from a real file, and never in a whole one.

ONNX Runtime itself says whether the rule is right: what is found misplaced it computes in float.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType
from torch import nn

from edgestill.export.fusion import fusion_report
from edgestill.export.graph import copied, producers, readers, reread
from edgestill.export.qdq_placement import misplaced
from edgestill.export.targets import TARGETS

from .conftest import Write
from .residual_files import residual_files, residual_network

ORT_TARGETS = ("ort-x86", "ort-arm64")


@pytest.fixture(scope="module")
def files() -> dict[str, ModelProto]:
    return residual_files()


def additions(model: ModelProto) -> list[NodeProto]:
    """Residual additions: those without a constant."""
    known = {tensor.name for tensor in model.graph.initializer}
    return [n for n in model.graph.node if n.op_type == "Add" and not known & set(n.input)]


def without_quantizers(model: ModelProto, value: str, reader: NodeProto) -> ModelProto:
    """The model whose `reader` takes what stands before the Q/DQ that give `value`."""
    model = copied(model)
    made_by = producers(model.graph)
    before = made_by[made_by[value].input[0]].input[0]
    reread([node for node in model.graph.node if node.name == reader.name], value, before)
    return model


@pytest.mark.parametrize("target", TARGETS)
def test_files_of_ours_have_nothing_misplaced(files: dict[str, ModelProto], target: str) -> None:
    assert additions(files[target])
    assert misplaced(files[target].graph, target) == []


def test_files_with_layers_kept_in_float_have_nothing_misplaced() -> None:
    layers = [
        name for name, part in residual_network().named_modules() if isinstance(part, nn.Conv2d)
    ]

    for target, model in residual_files((layers[2], layers[4])).items():
        assert misplaced(model.graph, target) == [], target


@pytest.mark.parametrize("target", ORT_TARGETS)
def test_a_branch_without_quantizers_is_found_for_onnx_runtime(
    files: dict[str, ModelProto], target: str, tmp_path: Path
) -> None:
    model = files[target]
    made_by = producers(model.graph)
    addition, value = next(
        (node, name)
        for node in additions(model)
        for name in node.input
        if made_by[made_by[made_by[name].input[0]].input[0]].op_type == "Conv"
    )

    broken = without_quantizers(model, value, addition)

    (fault,) = misplaced(broken.graph, target)
    assert fault.startswith(f"{addition.name}: Q/DQ on one branch only")
    onnx.save(model, tmp_path / "whole.onnx")
    onnx.save(broken, tmp_path / "broken.onnx")
    whole = fusion_report(tmp_path / "whole.onnx", target)
    assert fusion_report(tmp_path / "broken.onnx", target).int8 < whole.int8


def test_a_symmetric_grid_after_relu_is_found_for_onnx_runtime(
    files: dict[str, ModelProto], tmp_path: Path
) -> None:
    """The layers that ONNX Runtime leaves in float are those that are found."""
    model = copied(files["ort-arm64"])
    for tensor in model.graph.initializer:
        if tensor.name.endswith(".zero_point") and tensor.data_type == TensorProto.INT8:
            zero = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(zero), tensor.name))

    found = misplaced(model.graph, "ort-arm64")

    assert found
    assert all("the zero point after its Relu is 0, not the lowest code -128" in f for f in found)
    onnx.save(model, tmp_path / "symmetric.onnx")
    report = fusion_report(tmp_path / "symmetric.onnx", "ort-arm64")
    islands = {island.name for island in report.float_islands if island.op != "Relu"}
    assert {fault.partition(": ")[0] for fault in found} == islands


def test_an_identity_without_quantizers_is_found_for_tensorrt(
    files: dict[str, ModelProto],
) -> None:
    model = files["tensorrt"]
    made_by = producers(model.graph)
    for addition in additions(model):
        (value,) = (n for n in addition.input if made_by[n].op_type == "DequantizeLinear")

        broken = without_quantizers(model, value, addition)

        (fault,) = misplaced(broken.graph, "tensorrt")
        assert fault.startswith(f"{addition.name}: its other branch")


def test_quantizers_on_the_wrong_branch_are_found_for_tensorrt(
    files: dict[str, ModelProto],
) -> None:
    """The product's own output quantized, the identity not."""
    model = copied(files["tensorrt"])
    made_by, after = producers(model.graph), readers(model.graph)
    addition, value, product = next(
        (node, name, other)
        for node in additions(model)
        for name, other in (tuple(node.input), tuple(reversed(node.input)))
        if made_by[name].op_type == "DequantizeLinear"
        and made_by[made_by[made_by[name].input[0]].input[0]].op_type != "Conv"
    )
    assert after[product] == [addition]
    dequantize = made_by[value]
    quantize = made_by[dequantize.input[0]]
    identity = quantize.input[0]
    place = list(model.graph.node).index(addition)
    nodes = [
        helper.make_node("QuantizeLinear", [product, *quantize.input[1:]], ["moved_codes"]),
        helper.make_node("DequantizeLinear", ["moved_codes", *dequantize.input[1:]], ["moved"]),
    ]
    addition.input[list(addition.input).index(product)] = "moved"
    addition.input[list(addition.input).index(value)] = identity
    kept = [*model.graph.node[:place], *nodes, *model.graph.node[place:]]
    copies = [copied(node) for node in kept]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    onnx.checker.check_model(model)

    (fault,) = misplaced(model.graph, "tensorrt")

    assert fault.startswith(f"{addition.name}: Q/DQ on the branch of Conv")


def test_a_float_network_has_nothing_to_misplace(good: Path) -> None:
    graph = onnx.load(good).graph

    assert all(misplaced(graph, target) == [] for target in TARGETS)


@pytest.mark.parametrize(
    ("kind", "target"), [(QuantType.QUInt8, "ort-x86"), (QuantType.QInt8, "ort-arm64")]
)
def test_files_of_onnx_runtimes_own_quantizer_have_nothing_misplaced(
    good: Path, quantize: Write, kind: QuantType, target: str
) -> None:
    path = quantize(good, kind)

    report = fusion_report(path, target)
    assert report.int8 == report.total
    assert misplaced(onnx.load(path).graph, target) == []
