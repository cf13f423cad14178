"""What a built TensorRT engine tells of itself, in the shapes of versions 8.6 and 10, and worse.

The layers are written after NVIDIA's documented examples; no engine was built here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgestill.export.engine_layers import read_engine_layers
from edgestill.export.fusion import fusion_report
from edgestill.models.errors import BadInput

INT8_TENSOR = "Thirty-two wide channel vectorized row major Int8 format."
EIGHT: dict[str, Any] = {  # TensorRT 8.6
    "Layers": [
        {
            "Name": "images/quantize",
            "LayerType": "Reformat",
            "Inputs": [{"Name": "images", "Format/Datatype": "Row major linear FP32"}],
            "Outputs": [{"Name": "images/codes", "Format/Datatype": INT8_TENSOR}],
            "ParameterType": "Reformat",
            "Origin": "QDQ",
        },
        {
            "Name": "stem.weight.codes + stem.weight/dequantize + stem + PWN(Relu_0)",
            "LayerType": "CaskConvolution",
            "Inputs": [{"Name": "images/codes", "Format/Datatype": INT8_TENSOR}],
            "ParameterType": "Convolution",
            "Weights": {"Type": "Int8", "Count": 432},
            "Bias": {"Type": "Float", "Count": 16},
            "TacticName": "sm80_xmma_fprop_implicit_gemm_interleaved_i8i8_i8i32_f32_nchw",
        },
        {
            # Reads int8 and multiplies in float all the same.
            "Name": "fc",
            "LayerType": "CaskConvolution",
            "Inputs": [{"Name": "x", "Format/Datatype": INT8_TENSOR}],
            "Weights": {"Type": "Half", "Count": 160},
            "TacticName": "sm80_xmma_gemm_f16f16_f16f32_f32_tn",
        },
    ],
    "Bindings": ["images", "logits"],
}
TEN: dict[str, Any] = {  # TensorRT 10, the second layer by its newer compiler
    "Layers": [
        {
            "Name": "stem.weight/dequantize_stem_fused",
            "LayerType": "CaskConvolution",
            "Inputs": [{"Name": "a", "Location": "Device", "Format/Datatype": "Int8"}],
            "Weights": {"Type": "Int8", "Count": 432},
            "TacticName": "sm80_xmma_fprop_i8i8_i8i32_f32",
            "Metadata": "[ONNX Layer: stem]\x1e[ONNX Layer: Relu_0]",
        },
        {
            "Name": "__myl_Fc_myl0_1",
            "LayerType": "gemm",
            "Inputs": [{"Name": "b", "Format/Datatype": "Int8"}],
            "TacticName": "sm80_xmma_gemm_i8i8_i8i32_f32_tn",
            "Metadata": "[ONNX Layer: fc]",
        },
    ],
    "Bindings": ["images", "logits"],
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A convolution "stem" and a product "fc"."""
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["y"], "stem"),
        helper.make_node("Relu", ["y"], ["z"], "Relu_0"),
        helper.make_node("Flatten", ["z"], ["flat"], "Flatten_0"),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"], "fc"),
    ]
    weights = {"kernel": np.ones((16, 3, 1, 1)), "matrix": np.ones((16, 10))}
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 1, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph), path)
    return path


def written(content: Any, folder: Path) -> Path:
    path = folder / "layers.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_an_engine_of_8_6_tells_by_the_names_of_its_layers(model: Path, tmp_path: Path) -> None:
    found = fusion_report(model, "tensorrt", engine_layers=written(EIGHT, tmp_path))

    assert (found.int8, found.total, found.source, found.qdq_left) == (1, 2, "engine", 1)
    (island,) = found.float_islands
    assert (island.name, island.op) == ("fc", "MatMul")
    assert island.reason == "the engine computes it in Half, in CaskConvolution fc"


def test_an_engine_of_10_tells_by_its_metadata_and_kernels(model: Path, tmp_path: Path) -> None:
    found = fusion_report(model, "tensorrt", engine_layers=written(TEN, tmp_path))

    assert (found.int8, found.total, found.qdq_left, found.float_islands) == (2, 2, 0, ())


def test_a_product_that_no_layer_names_is_not_counted_as_int8(model: Path, tmp_path: Path) -> None:
    shorter = {**TEN, "Layers": TEN["Layers"][:1]}

    found = fusion_report(model, "tensorrt", engine_layers=written(shorter, tmp_path))

    assert found.int8 == 1
    assert found.float_islands[0].reason == "no layer of the engine names it"


def test_a_layer_that_does_not_tell_its_type_is_not_counted_as_int8(
    model: Path, tmp_path: Path
) -> None:
    silent = [{"Name": "stem", "LayerType": "Convolution"}, *TEN["Layers"][1:]]

    found = fusion_report(model, "tensorrt", engine_layers=written({"Layers": silent}, tmp_path))

    assert "unknown type" in found.float_islands[0].reason


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no json", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ([], 'no list "Layers"'),
        ({"Layers": []}, 'no list "Layers"'),
        ({"Layers": ["stem", "fc"]}, "names alone.*profilingVerbosity=detailed"),
        ({"Layers": [EIGHT["Layers"][1], "fc"]}, "layer 1 is a str"),
        ({"Layers": [{"Name": 3}]}, "layer 0 has 'Name' of type int"),
        ({"Layers": [{"LayerType": "gemm"}]}, 'layer 0 has no "Name"'),
        ({"Layers": [{"Name": "fc", "Inputs": 7}]}, "'Inputs' of type int"),
        ({"Layers": [{"Name": "fc", "Metadata": None}]}, "'Metadata' of type NoneType"),
    ],
)
def test_a_file_of_another_shape_is_refused_in_one_line(
    content: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        read_engine_layers(written(content, tmp_path))

    assert "\n" not in str(caught.value)


def test_another_networks_engine_is_refused(model: Path, tmp_path: Path) -> None:
    other = {"Layers": [{"Name": "features.0", "LayerType": "gemm"}]}

    with pytest.raises(BadInput, match="another network's engine"):
        fusion_report(model, "tensorrt", engine_layers=written(other, tmp_path))


def test_an_absent_file_and_another_target_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        fusion_report(model, "tensorrt", engine_layers=tmp_path / "absent.json")
    with pytest.raises(BadInput, match="the target is ort-x86"):
        fusion_report(model, "ort-x86", engine_layers=written(TEN, tmp_path))
