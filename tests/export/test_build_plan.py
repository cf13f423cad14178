"""The build plan: trtexec takes every line of it, in every version, and the agent takes its job."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgestill.deploy.agent.protocol import parse_request
from edgestill.export.build_lines import TRTEXEC
from edgestill.export.build_plan import VERSIONS, build_plan, write_build_plan
from edgestill.models.errors import BadInput

from ..deploy.agent.fake_trtexec import write_trtexec

# The form of trtexec's options that a version has; 10.3's are those of 10.9.
FORMS = {"8.6.1": 8601, "10.3.0": 100900, "10.16.1": 101600, "11.4.0": 110000}


def model(path: Path, *, batch: str | int = "N", size: str | int = 8, opset: int = 17) -> Path:
    """One convolution, images (batch, 3, size, size)."""
    kernel = numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "kernel")
    nodes = [helper.make_node("Conv", ["images", "kernel"], ["maps"], "conv")]
    return save(path, nodes, {"images": [batch, 3, size, size]}, [kernel], "maps", opset)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[Any]],
    weights: list[TensorProto],
    output: str,
    opset: int = 17,
) -> Path:
    taken = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()]
    given = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "net", taken, given, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(made, path)
    return path


def quantized(path: Path) -> Path:
    """Input and weights of the convolution come from int8, as an export for TensorRT has it."""
    codes = numpy_helper.from_array(np.ones((4, 3, 1, 1), np.int8), "codes")
    step = numpy_helper.from_array(np.array(0.1, np.float32), "step")
    steps = numpy_helper.from_array(np.full(4, 0.1, np.float32), "steps")
    zero = numpy_helper.from_array(np.array(0, np.int8), "zero")
    zeros = numpy_helper.from_array(np.zeros(4, np.int8), "zeros")
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "step", "zero"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["seen"], "dequantize"),
        helper.make_node("DequantizeLinear", ["codes", "steps", "zeros"], ["kernel"], "w", axis=0),
        helper.make_node("Conv", ["seen", "kernel"], ["maps"], "conv"),
    ]
    weights = [codes, step, steps, zero, zeros]
    return save(path, nodes, {"images": ["N", 3, 8, 8]}, weights, "maps")


def run(line: str, version: str, folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """A line of the plan, by the stand-in for this version's trtexec, in the folder of the file."""
    calls = write_trtexec(folder / "root", FORMS[version], query_ms=1.0)
    program, *words = shlex.split(line)
    assert program == TRTEXEC
    for name, value in changes.items():
        words = [f"--{name}={value}" if word.startswith(f"--{name}=") else word for word in words]
    command = [sys.executable, "-IS", str(calls.with_name("trtexec")), *words]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("make", [model, quantized])
def test_trtexec_takes_the_lines_of_its_version(make: Any, version: str, tmp_path: Path) -> None:
    path = make(tmp_path / "net.onnx")
    entry = build_plan(path, batch=(1, 4, 8))["tensorrt"][version]

    built = run(entry["build"], version, tmp_path)
    timed = run(entry["time"], version, tmp_path, duration="0", warmUp="0", iterations="20")

    assert built.returncode == 0, built.stderr
    assert timed.returncode == 0, timed.stderr
    assert (tmp_path / "net.engine").is_file()
    assert json.loads((tmp_path / "net.layers.json").read_text())["Layers"]
    assert "Data transfers: Enabled" in timed.stdout  # whatever the version's defaults are
    assert "CUDA Graph: Enabled" in timed.stdout
    assert "Spin-wait: Disabled" in timed.stdout


@pytest.mark.parametrize(
    ("version", "other", "line", "flag"),
    [
        ("11.4.0", "10.16.1", "time", "--includeDataTransfers"),
        ("10.16.1", "11.4.0", "build", "--fp16"),
        ("10.3.0", "8.6.1", "time", None),  # the same words in both
    ],
)
def test_lines_differ_where_trtexec_does(
    version: str, other: str, line: str, flag: str | None, tmp_path: Path
) -> None:
    path = model(tmp_path / "net.onnx")
    words = build_plan(path, precision="fp16" if line == "build" else "as-file")
    (tmp_path / "net.engine").write_text("plan for 8 SMs")

    done = run(
        words["tensorrt"][version][line], other, tmp_path, duration="0", warmUp="0", iterations="20"
    )

    assert (done.returncode == 0) == (flag is None)
    assert flag is None or f"Unknown option: {flag}" in done.stderr


def test_a_plan_says_which_file_and_which_shapes(tmp_path: Path) -> None:
    path = model(tmp_path / "net.onnx")

    plan = build_plan(path, batch=(1, 4, 8))

    assert plan["file"] == "net.onnx"
    assert plan["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert plan["inputs"] == {
        "images": {
            "declared": ["N", 3, 8, 8],
            "min": [1, 3, 8, 8],
            "opt": [4, 3, 8, 8],
            "max": [8, 3, 8, 8],
        }
    }
    for entry in plan["tensorrt"].values():
        assert "--minShapes=images:1x3x8x8 --optShapes=images:4x3x8x8" in entry["build"]
        assert "--maxShapes=images:8x3x8x8" in entry["build"]
        assert "--shapes=images:4x3x8x8" in entry["time"]


def test_one_batch_needs_one_shape_and_a_fixed_file_none(tmp_path: Path) -> None:
    free, fixed = model(tmp_path / "free.onnx"), model(tmp_path / "fixed.onnx", batch=2)

    free_line = build_plan(free, batch=(4, 4, 4))["tensorrt"]["10.3.0"]["build"]
    plan = build_plan(fixed)

    assert "--shapes=images:4x3x8x8" in free_line
    assert "hapes=" not in plan["tensorrt"]["10.3.0"]["build"]
    assert plan["batch"] == {"min": 2, "opt": 2, "max": 2}


@pytest.mark.parametrize(
    ("make", "version", "strong", "flags"),
    [
        (quantized, "8.6.1", False, ["INT8"]),
        (quantized, "10.3.0", True, []),
        (quantized, "11.4.0", True, []),
        (model, "8.6.1", False, []),
        (model, "10.16.1", True, []),
    ],
)
def test_how_the_types_are_told_depends_on_the_version(
    make: Any, version: str, strong: bool, flags: list[str], tmp_path: Path
) -> None:
    entry = build_plan(make(tmp_path / "net.onnx"))["tensorrt"][version]

    assert (entry["strongly_typed"], entry["precision_flags"]) == (strong, flags)
    assert ("--stronglyTyped" in entry["build"]) == (strong and version.startswith("10"))
    assert ("--int8" in entry["build"]) == ("INT8" in flags)


def test_a_version_that_cannot_give_a_precision_says_so_and_the_others_have_lines(
    tmp_path: Path,
) -> None:
    entries = build_plan(model(tmp_path / "net.onnx"), precision="fp16")["tensorrt"]

    assert not entries["11.4.0"]["builds"]
    assert "lives in the ONNX file on TensorRT 11" in entries["11.4.0"]["why"]
    assert "--fp16" in entries["10.16.1"]["build"]


def test_a_version_whose_parser_would_stop_says_where(tmp_path: Path) -> None:
    nodes = [helper.make_node("Det", ["images"], ["maps"], "the_det")]
    path = save(tmp_path / "net.onnx", nodes, {"images": ["N", 3, 8, 8]}, [], "maps")

    entries = build_plan(path)["tensorrt"]

    for entry in entries.values():
        assert not entry["builds"]
        assert "the_det (Det)" in entry["why"]


def test_an_opset_newer_than_a_versions_is_noted(tmp_path: Path) -> None:
    path = model(tmp_path / "net.onnx", opset=19)

    entries = build_plan(path, versions=("8.2.1", "8.6.1", "10.3.0"))["tensorrt"]

    assert any("opset 19" in note for note in entries["8.2.1"]["notes"])
    assert any("opset 19" in note for note in entries["8.6.1"]["notes"])
    assert entries["10.3.0"]["notes"] == []


def test_the_jetpacks_that_bring_a_version_are_named(tmp_path: Path) -> None:
    entries = build_plan(model(tmp_path / "net.onnx"))["tensorrt"]

    assert {version: entry["jetpack"] for version, entry in entries.items()} == {
        "8.6.1": ["6.0"],
        "10.3.0": ["6.1", "6.2"],
        "10.16.1": ["7.2"],
        "11.4.0": [],
    }
    assert "no JetPack brings it" in entries["11.4.0"]["notes"][0]


def test_a_dla_is_built_for_where_the_release_can(tmp_path: Path) -> None:
    path = quantized(tmp_path / "net.onnx")

    entries = build_plan(path, dla_core=1, versions=("10.3.0", "10.16.1", "11.4.0", "11.4.1"))
    older, none, neither, newer = entries["tensorrt"].values()

    assert "--useDLACore=1 --allowGPUFallback" in older["build"]
    assert "--useDLACore=1" in older["time"]
    assert any("takes no explicit quantization" in note for note in older["notes"])
    assert "builds for no DLA" in none["why"] and "builds for no DLA" in neither["why"]
    assert newer["builds"]


def test_workspace_and_timing_cache_are_as_asked(tmp_path: Path) -> None:
    path = model(tmp_path / "net.onnx")

    plan = build_plan(path, workspace_bytes=256 << 20, timing_cache="all.cache")
    own = build_plan(path)["tensorrt"]

    for entry in plan["tensorrt"].values():
        assert "--memPoolSize=workspace:256" in entry["build"]
        assert "--timingCacheFile=all.cache" in entry["build"]
    assert len({entry["timing_cache"] for entry in own.values()}) == len(own)


@pytest.mark.parametrize("make", [model, quantized])
def test_the_agent_takes_the_job(make: Any, tmp_path: Path) -> None:
    plan = build_plan(make(tmp_path / "net.onnx"), batch=(2, 2, 2))

    request = parse_request(json.dumps(plan["agent"]["request"]))

    (case,) = request.cases
    assert (case.model, case.engine, case.batch) == ("net.onnx", "tensorrt", 2)
    assert plan["agent"]["notes"] == []


def test_what_the_agent_does_otherwise_than_the_plan_is_noted(tmp_path: Path) -> None:
    path = model(tmp_path / "net.onnx")

    notes = build_plan(path, batch=(1, 4, 8), workspace_bytes=1 << 28)["agent"]["notes"]

    assert [note.split()[3] for note in notes] == ["for", "with"]


def test_weights_beside_the_file_are_in_the_plan_and_no_job_for_the_agent(tmp_path: Path) -> None:
    path = model(tmp_path / "net.onnx")
    made = onnx.load(path)
    onnx.save(made, path, save_as_external_data=True, location="net.data", size_threshold=0)

    plan = build_plan(path)

    digest = hashlib.sha256((tmp_path / "net.data").read_bytes()).hexdigest()
    assert plan["side_files"] == {"net.data": digest}
    assert plan["agent"]["request"] is None
    assert "net.data lies beside it" in plan["agent"]["why"]
    assert plan["tensorrt"]["10.3.0"]["builds"]


def test_weights_in_another_folder_are_refused(tmp_path: Path) -> None:
    path = model(tmp_path / "net.onnx")
    made = onnx.load(path)
    kernel = made.graph.initializer[0]
    kernel.ClearField("raw_data")
    kernel.data_location = TensorProto.EXTERNAL
    kernel.external_data.add(key="location", value="../secret")
    path.write_bytes(made.SerializeToString())

    with pytest.raises(BadInput, match="kernel points out of the model's folder"):
        build_plan(path)


def test_inputs_without_a_common_batch_keep_their_shapes(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"], "add")]
    path = save(tmp_path / "net.onnx", nodes, {"a": [4, 3], "b": [3]}, [], "sum")

    plan = build_plan(path)

    assert plan["inputs"]["a"]["opt"] == [4, 3]
    assert plan["inputs"]["b"]["opt"] == [3]
    assert "hapes=" not in plan["tensorrt"]["10.3.0"]["build"]
    assert plan["agent"]["request"] is None  # it holds every input to one batch
    assert "'b' has the fixed batch 3" in plan["agent"]["why"]


def test_a_plan_is_the_same_json_each_time_and_lies_beside_the_file(tmp_path: Path) -> None:
    path = model(tmp_path / "net.tensorrt.onnx")

    written = write_build_plan(path, batch=(1, 1, 8))

    assert written == tmp_path / "net.tensorrt.plan.json"
    assert json.loads(written.read_text()) == build_plan(path, batch=(1, 1, 8))
    assert written.read_bytes() == write_build_plan(path, batch=(1, 1, 8)).read_bytes()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"batch": (4, 2, 8)}, "expected the smallest, the best and the largest"),
        ({"batch": (0, 1, 1)}, "from 1 on"),
        ({"dla_core": 16}, "expected a number from 0 to 15"),
        ({"dla_core": 0, "batch": (1, 1, 2)}, "an engine for it has one batch"),
        ({"workspace_bytes": 1000}, "expected whole MiB"),
        ({"timing_cache": "../x"}, "without a folder"),
        ({"precision": "int4"}, "expected one of as-file, fp32"),
        ({"versions": ("ten",)}, "TensorRT version ten: expected some such as 8.6.1"),
        ({"versions": ()}, "TensorRT version none"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_in_one_line(
    settings: dict[str, Any], told: str, tmp_path: Path
) -> None:
    path = model(tmp_path / "net.onnx")

    with pytest.raises(BadInput, match=told) as refused:
        build_plan(path, **settings)

    assert "\n" not in str(refused.value)


def test_a_file_that_no_plan_can_be_made_for_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\x00no model")

    with pytest.raises(BadInput, match=r"broken\.onnx"):
        build_plan(broken)
    with pytest.raises(BadInput, match="cannot read the model file"):
        build_plan(tmp_path / "absent.onnx")
    with pytest.raises(BadInput, match="free axes beside the batch: H"):
        build_plan(model(tmp_path / "free.onnx", size="H"))
    with pytest.raises(BadInput, match="has the fixed batch 2, asked for 4"):
        build_plan(model(tmp_path / "fixed.onnx", batch=2), batch=(4, 4, 4))
