"""INT8 is treated as on the target's own processor, whichever machine judges the file."""

from __future__ import annotations

import platform
from pathlib import Path

import onnx
import pytest
import torch

from edgestill.export.dialects import write_dialect
from edgestill.export.runtime import open_session
from edgestill.export.targets import TARGETS, session_settings
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ranges_of
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet


def test_only_onnx_runtimes_targets_have_settings() -> None:
    settings = {target: session_settings(target) for target in (*TARGETS, None)}

    assert settings == {
        "tensorrt": {},
        "ort-x86": {"session.qdqisint8allowed": "0"},
        "ort-arm64": {"session.qdqisint8allowed": "1"},
        None: {},
    }


@pytest.fixture(scope="module")
def for_arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepared = prepare(
        fold_batch_norm(build(WideResNet(blocks=(1, 1, 1), widths=(8, 8, 16)), seed=0))
    )
    calibrate(prepared, [torch.randn((8, 3, 32, 32), generator=torch.Generator().manual_seed(0))])
    path = tmp_path_factory.mktemp("arm") / "model.ort-arm64.onnx"
    marked = onnx_from_model(prepared, (3, 32, 32))
    onnx.save(write_dialect(marked, ranges_of(prepared), "ort-arm64"), path)
    return path


def integer_convolutions(path: Path, target: str | None) -> int:
    optimized = path.with_name(f"optimized-for-{target}.onnx")
    open_session(path, optimized_to=optimized, target=target)
    return sum(node.op_type == "QLinearConv" for node in onnx.load(optimized).graph.node)


def test_a_file_for_arm_is_judged_in_the_integers_that_arm_runs(for_arm: Path) -> None:
    assert integer_convolutions(for_arm, "ort-arm64") == 10


@pytest.mark.skipif(platform.machine() != "x86_64", reason="arm64 takes int8 by itself")
def test_without_its_target_a_file_for_arm_falls_back_to_floats_on_x86(for_arm: Path) -> None:
    assert integer_convolutions(for_arm, None) < 10
