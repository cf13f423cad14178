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

from .fake_boards import BOARDS
from .fake_boards import write as write_board

WriteModel: TypeAlias = Callable[..., Path]
FakeBoards: TypeAlias = Callable[..., Path]


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
def real_lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a real agent says of two cases in two rounds, but progress; copy before a change."""
    folder = tmp_path_factory.mktemp("agent")
    model = str(tiny(folder / "tiny.onnx", ["N", 3, 8, 8], TensorProto.FLOAT))
    cases = [{"model": model, "label": label, "threads": 1} for label in ("one", "other")]
    brief = {"seconds": 0, "warmup_seconds": 0, "min_runs": 20, "idle_seconds": 0.01}
    out = io.StringIO()
    beside = {"yardstick": {"model": model, "threads": 1}}
    request = json.dumps({"cases": cases, "rounds": 2, "layers": True, **beside, **brief})
    assert cli.run(["bench", request], out) == 0, out.getvalue()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    return [line for line in lines if line["event"] != "progress"]


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


@pytest.fixture
def fake_board(tmp_path: Path) -> FakeBoards:
    """Writes a board of BOARDS as a tree, and gives its root: fake_board("agx-orin"); options of
    `fake_boards.write`: sudo="refuses", first_hwmon=3."""

    def make(name: str, **options: Any) -> Path:
        return write_board(BOARDS[name], tmp_path / name, **options)

    return make
