"""The fusion report says what stays in float, and why."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from edgestill.export.dialects import write_dialect
from edgestill.export.fusion import Fusion, fusion_report
from edgestill.export.markers import strip_markers
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.errors import BadInput
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ranges_of


class Files:
    """One small network as an INT8 file per target and as a float file."""

    def __init__(self, folder: Path, activation: nn.Module) -> None:
        torch.manual_seed(0)
        layers = (nn.Conv2d(3, 8, 3), activation, nn.Conv2d(8, 8, 3), nn.ReLU())
        prepared = prepare(fold_batch_norm(nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 2))))
        calibrate(prepared, [torch.randn((2, 3, 8, 8))])
        marked = onnx_from_model(prepared, (3, 8, 8))
        self.folder = folder
        onnx.save(strip_markers(marked), folder / "fp32.onnx")
        for target in ("tensorrt", "ort-x86", "ort-arm64"):
            onnx.save(write_dialect(marked, ranges_of(prepared), target), folder / f"{target}.onnx")

    def report(self, file: str, target: str) -> Fusion:
        return fusion_report(self.folder / f"{file}.onnx", target)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("files"), nn.ReLU())


@pytest.mark.parametrize("target", ["tensorrt", "ort-x86", "ort-arm64"])
def test_a_float_network_has_no_int8_and_is_named_layer_by_layer(files: Files, target: str) -> None:
    found = files.report("fp32", target)

    assert (found.int8, found.total, found.fraction) == (0, 3, 0.0)
    layers = [island for island in found.float_islands if island.op in ("Conv", "Gemm")]
    assert [island.name for island in layers] == ["0", "2", "5"]
    assert all("is not quantized" in island.reason for island in layers)


def test_tensorrts_file_in_onnx_runtime_shows_the_lost_relu(files: Files) -> None:
    found = files.report("tensorrt", "ort-x86")

    reasons = {island.name: island.reason for island in found.float_islands}
    assert found.int8 < found.total == 3
    assert reasons["0"] == "the zero point after Relu is not the lowest code"


def test_onnx_runtimes_file_in_tensorrt_shows_the_unsigned_codes(files: Files) -> None:
    found = files.report("ort-x86", "tensorrt")

    assert (found.int8, found.total, found.source) == (0, 3, "predicted")
    assert "uint8 codes" in found.float_islands[0].reason


def test_arms_file_in_tensorrt_shows_the_zero_point(files: Files) -> None:
    found = files.report("ort-arm64", "tensorrt")

    assert "a zero point" in {i.name: i.reason for i in found.float_islands}["2"]


def test_an_operation_without_an_integer_kernel_is_named(tmp_path: Path) -> None:
    found = Files(tmp_path, nn.ELU()).report("ort-x86", "ort-x86")

    assert (found.int8, found.total) == (3, 3)  # its convolutions are quantized all the same
    assert [(island.op, island.reason) for island in found.float_islands] == [
        ("Elu", "ONNX Runtime has no integer kernel for Elu")
    ]


def test_the_report_as_json_has_the_keys_of_its_contract(files: Files) -> None:
    found = files.report("fp32", "ort-x86").to_json()

    assert set(found) == {"int8", "total", "source", "qdq_left", "float_islands"}
    assert set(found["float_islands"][0]) == {"name", "op", "reason"}


@pytest.mark.parametrize("content", [None, b"", b"no model"])
@pytest.mark.parametrize("target", ["tensorrt", "ort-x86"])
def test_what_is_no_model_is_refused_in_one_line(
    tmp_path: Path, content: bytes | None, target: str
) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(BadInput, match=r"model\.onnx") as caught:
        fusion_report(path, target)

    assert "\n" not in str(caught.value)


def test_an_unknown_target_is_refused(files: Files) -> None:
    with pytest.raises(BadInput, match="'cuda'"):
        files.report("fp32", "cuda")
