"""A tiny real ONNX model, what the agent says about it, and stand-ins for the agent."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from edgestill.deploy.agent import cli

WriteModel: TypeAlias = Callable[..., Path]


def tiny(path: Path, axes: list[int | str], kind: int) -> Path:
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "weight"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", kind, axes)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(weight, "weight")],
    )
    opsets = [helper.make_opsetid("", 18)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path))
    return path


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """Writes a convolution, ReLU and pooling whose input `images` has the given axes and type."""

    def write(*axes: int | str, kind: int = TensorProto.FLOAT) -> Path:
        return tiny(tmp_path / "tiny.onnx", list(axes) or ["N", 3, 8, 8], kind)

    return write


@pytest.fixture(scope="session")
def real_result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The `result` line of a real agent; copy before changing it."""
    folder = tmp_path_factory.mktemp("agent")
    model = tiny(folder / "tiny.onnx", ["N", 3, 8, 8], TensorProto.FLOAT)
    request = {"model": str(model), "threads": 1, "seconds": 0, "warmup_seconds": 0, "min_runs": 20}
    out = io.StringIO()
    assert cli.run(["bench", json.dumps(request)], out) == 0
    result: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return result


@pytest.fixture
def tiny_model(write_model: WriteModel) -> Path:
    """A model file with a free batch axis."""
    return write_model()


@pytest.fixture
def python_that(tmp_path: Path) -> Callable[[str], str]:
    """Makes an executable that runs the given code in place of whatever it is asked to run."""

    def make(code: str) -> str:
        path = tmp_path / "python"
        path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{code}\n")
        path.chmod(0o755)
        return str(path)

    return make
