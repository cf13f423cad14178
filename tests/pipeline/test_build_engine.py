"""An engine built where the export runs, on stand-ins for TensorRT and CUDA."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgestill.deploy.agent import cudart
from edgestill.deploy.agent.engines import open_engine
from edgestill.deploy.agent.protocol import parse_request
from edgestill.deploy.errors import DeviceError
from edgestill.export.build_plan import build_plan
from edgestill.export.fusion import fusion_report
from edgestill.models.errors import BadInput, MissingPackage
from edgestill.pipeline import build_engine as built_here
from edgestill.pipeline import profile_command
from edgestill.pipeline.build_engine import build_engine
from edgestill.pipeline.cli import app
from edgestill.pipeline.profile_cases import cases_of

from ..deploy.agent import trt_bindings
from ..deploy.agent.test_cudart import compiled
from ..deploy.agent.trt_bindings import VERSIONS, facts_of
from ..deploy.agent.trt_board import Board, board_with
from ..export.test_build_plan import model, quantized

LAYERS = {  # as the inspector tells of the convolution in the tests' files
    "Layers": [
        {
            "Name": "conv",
            "LayerType": "CaskConvolution",
            "Inputs": [{"Name": "q", "Format/Datatype": "Int8"}],
            "Outputs": [{"Name": "maps", "Format/Datatype": "Float"}],
            "Weights": {"Type": "Int8", "Count": 12},
            "Metadata": "[ONNX Layer: conv]",
        }
    ],
    "Bindings": ["images", "maps"],
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("cudart"))


@pytest.fixture
def machine(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A machine with TensorRT and a GPU, both stand-ins; `machine.model` is INT8."""
    monkeypatch.setattr(trt_bindings, "LAYER_INFO", LAYERS)
    monkeypatch.setattr(built_here, "gpu_facts", lambda root: {"name": "NVIDIA RTX 0"})
    path = quantized(tmp_path / "net.onnx")
    with board_with(library, path, tmp_path / "state", monkeypatch) as board:
        yield board


def record(engine: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(engine.with_name(f"{engine.name}.json").read_text())
    return told


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_is_built_with_what_is_told_of_it(
    machine: Board, version: str, tmp_path: Path
) -> None:
    machine.has(version)
    plan = build_plan(machine.model, batch=(1, 4, 8), workspace_bytes=1 << 28)

    engine = build_engine(machine.model, plan, tmp_path / "out")

    told = record(engine)
    assert engine == tmp_path / "out" / "net.engine"
    assert told["tensorrt"] == facts_of(version)["version"]
    assert (told["gpu"], told["sm_count"]) == ("NVIDIA RTX 0", 8)
    assert told["compute_capability"] == "8.7"
    assert told["sha256"] == hashlib.sha256(engine.read_bytes()).hexdigest()
    assert told["bytes"] == engine.stat().st_size
    assert told["onnx"]["sha256"] == hashlib.sha256(machine.model.read_bytes()).hexdigest()
    assert told["seconds"] >= 0
    assert (told["layers"], told["int8_layers"]) == (1, 1)
    assert {path.name for path in engine.parent.iterdir()} == {
        "net.engine",
        "net.engine.json",
        told["timing_cache"],
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_the_builder_is_told_what_the_plan_says(
    machine: Board, version: str, tmp_path: Path
) -> None:
    machine.has(version)
    plan = build_plan(machine.model, batch=(1, 4, 8), workspace_bytes=1 << 28)

    build_engine(machine.model, plan, tmp_path)

    (asked,) = machine.script.builds
    assert asked["profiles"] == [{"images": ([1, 3, 8, 8], [4, 3, 8, 8], [8, 3, 8, 8])}]
    assert asked["pools"] == {"WORKSPACE": 1 << 28}
    assert asked["flags"] == plan["tensorrt"][version]["precision_flags"]


def test_a_second_build_takes_the_timings_of_the_first(machine: Board, tmp_path: Path) -> None:
    machine.has("10.3.0")
    plan = build_plan(machine.model)

    for _ in range(2):
        build_engine(machine.model, plan, tmp_path)

    assert [asked["timings"] for asked in machine.script.builds] == [b"", b"+"]


def test_the_fusion_report_reads_what_was_written(machine: Board, tmp_path: Path) -> None:
    machine.has("10.3.0")
    engine = build_engine(machine.model, build_plan(machine.model), tmp_path)

    found = fusion_report(machine.model, "tensorrt", engine_layers=tmp_path / f"{engine.name}.json")

    assert (found.source, found.int8, found.total) == ("engine", 1, 1)


def test_a_jetson_is_named_where_no_card_is(
    machine: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built_here, "gpu_facts", lambda root: None)
    named = tmp_path / "root" / "proc/device-tree/model"
    named.parent.mkdir(parents=True)
    named.write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    machine.has("10.3.0")

    engine = build_engine(
        machine.model, build_plan(machine.model), tmp_path, root=tmp_path / "root"
    )

    assert record(engine)["gpu"] == "NVIDIA Jetson Orin Nano Developer Kit"


def test_a_dla_core_is_built_for(machine: Board, tmp_path: Path) -> None:
    machine.script.dla_cores = 2
    machine.has("10.3.0")

    engine = build_engine(machine.model, build_plan(machine.model, dla_core=1), tmp_path)

    assert machine.script.builds[0]["dla_core"] == 1
    assert record(engine)["dla_core"] == 1


def test_inputs_without_a_common_batch_are_built_as_they_are(
    machine: Board, tmp_path: Path
) -> None:
    path = model(tmp_path / "fixed.onnx", batch=2)
    machine.has("10.3.0")

    build_engine(path, build_plan(path), tmp_path)

    assert machine.script.builds[0]["profiles"] == []


def test_without_tensorrt_one_line_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    path = model(tmp_path / "net.onnx")

    with pytest.raises(MissingPackage, match=r"pip install 'edgestill\[tensorrt\]'") as refused:
        build_engine(path, build_plan(path), tmp_path / "out")

    assert refused.value.exit_code == 3
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_gpu_one_line_says_so(machine: Board, version: str, tmp_path: Path) -> None:
    machine.has(version)
    machine.script.no_device = True

    with pytest.raises(DeviceError, match="TensorRT is here, a CUDA device is not") as refused:
        build_engine(machine.model, build_plan(machine.model), tmp_path / "out")

    assert refused.value.exit_code == 3
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_without_cuda_one_line_says_so(
    machine: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has("10.3.0")
    monkeypatch.setattr(cudart, "LIBRARIES", ())

    with pytest.raises(MissingPackage, match="no CUDA runtime library") as refused:
        build_engine(machine.model, build_plan(machine.model), tmp_path)

    assert refused.value.exit_code == 3


def test_an_engine_that_cannot_be_built_leaves_none_and_says_why(
    machine: Board, tmp_path: Path
) -> None:
    machine.has("10.3.0")
    machine.script.build_fails = True

    with pytest.raises(DeviceError, match=r"no engine of net\.onnx: .*Could not find any impl"):
        build_engine(machine.model, build_plan(machine.model), tmp_path)

    assert not list(tmp_path.glob("net.engine*"))


def test_what_the_parser_stops_at_is_the_files_fault(machine: Board, tmp_path: Path) -> None:
    machine.has("10.3.0")
    machine.script.parser_errors = ((3, "/head/Foo", "No importer for Foo"),)

    with pytest.raises(BadInput, match=r"node 3 \(/head/Foo\): No importer for Foo"):
        build_engine(machine.model, build_plan(machine.model), tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sha256": "0" * 64}, r"net\.onnx is not the file that the plan is for"),
        ({"side_files": {"net.data": "0" * 64}}, r"net\.data is not the file"),
        ({"schema": 2}, "has schema 2, expected 1"),
    ],
)
def test_a_plan_of_another_file_is_refused(
    machine: Board, change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    plan = {**build_plan(machine.model), **change}

    with pytest.raises(BadInput, match=told):
        build_engine(machine.model, plan, tmp_path)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_agent_runs_the_plans_job(
    machine: Board, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has(version)
    machine.script.outputs = {"maps": [-1, 4]}
    job = build_plan(machine.model, batch=(2, 2, 2))["agent"]["request"]
    monkeypatch.chdir(machine.model.parent)
    request = parse_request(json.dumps(job))

    engine = open_engine(request.cases[0], request, Path("/nothing"))
    engine.load()
    engine.feed()
    engine.run()
    engine.close()

    assert machine.script.builds[0]["profiles"] == [{"images": ([2, 3, 8, 8],) * 3}]


def test_edgestill_profile_sends_the_plans_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = quantized(tmp_path / "net.onnx")
    job = build_plan(path, batch=(2, 2, 2), dla_core=1)["agent"]
    sent: list[dict[str, Any]] = []

    def take(models: list[Path], **settings: Any) -> None:
        sent.append({"models": models, **settings})

    monkeypatch.setattr(profile_command, "profile_command", take)
    monkeypatch.chdir(tmp_path)

    program, *words = shlex.split(job["profile"])
    done = CliRunner().invoke(app, words)

    assert (program, done.exit_code) == ("edgestill", 0), done.output
    (case,) = cases_of(
        sent[0]["models"],
        engine=sent[0]["engine"],
        precisions=(sent[0]["precision"],),
        batches=(int(sent[0]["batch"]),),
        dla_core=sent[0]["dla_core"],
    )
    assert vars(case) | {"model": str(case.model)} == job["request"]["cases"][0]
