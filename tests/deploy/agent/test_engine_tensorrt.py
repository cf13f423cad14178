"""TensorRT's whole life as an engine, in each version's API, on stand-ins for it and for CUDA."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from edgestill.deploy.agent.engines import open_engine
from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.inputs import seeded_array
from edgestill.deploy.agent.protocol import Case, Request

from .test_cudart import compiled
from .trt_bindings import KERNEL_NS, VERSIONS, facts_of
from .trt_board import Board, board_with, output, windowed

WriteModel: TypeAlias = Callable[..., Path]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("cudart"))


@pytest.fixture
def board(
    library: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Board]:
    with board_with(library, tiny_model, tmp_path / "state", monkeypatch) as board:
        yield board


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_built_run_timed_and_closed(board: Board, version: str) -> None:
    engine = board.has(version).warm(batch=2)

    window = windowed(engine)
    layers = engine.layers()

    assert engine.version == facts_of(version)["version"]
    assert len(window.samples_ns) == 20
    assert window.device_ns == [KERNEL_NS] * 20  # the copies are outside it
    assert layers == [{"name": "conv1 + relu1", "ms": 1.5}, {"name": "fc", "ms": 0.5}]
    assert engine.facts["cuda_graph"] is True
    assert engine.facts["cached"] is False
    assert (engine.facts["layers"], engine.facts["int8_layers"]) == (2, 1)
    assert (engine.facts["sm_count"], engine.facts["compute_capability"]) == (8, "8.7")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_fed_reaches_the_network_and_its_output_comes_back(
    board: Board, version: str
) -> None:
    engine = board.has(version).fed(batch=2)

    engine.run()

    given = seeded_array(np, "float32", [2, 3, 8, 8], seed=7)
    assert output(engine) == given.tobytes()[: 2 * 4 * 4]


def test_the_graph_does_what_the_network_did_without_being_enqueued_again(board: Board) -> None:
    engine = board.has("10.3.0").warm()
    enqueued = board.script.contexts[-1]._enqueued
    assert engine._execution is not None
    (buffer,) = engine._execution._inputs
    ctypes.memmove(buffer.host, b"another input...", 16)

    engine.run()

    assert output(engine) == b"another input..."
    assert board.script.contexts[-1]._enqueued == enqueued
    assert engine.device_ns() == KERNEL_NS


def test_a_network_that_cannot_be_captured_runs_without_a_graph_and_says_why(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDART", "no-capture")

    engine = board.has("10.3.0").warm()
    engine.run()

    assert engine.facts["cuda_graph"] is False
    assert "cudaStreamEndCapture" in engine.facts["no_cuda_graph"]
    assert engine.device_ns() == KERNEL_NS


def test_a_stream_that_cannot_begin_a_capture_runs_without_a_graph_and_says_why(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDART", "no-begin")

    engine = board.has("10.3.0").warm()
    engine.run()

    assert engine.facts["cuda_graph"] is False
    assert "cudaStreamBeginCapture" in engine.facts["no_cuda_graph"]


def test_an_engine_is_known_by_all_that_it_depends_on(board: Board) -> None:
    engine = board.has("10.3.0").fed(batch=2, precision="fp16")

    (record,) = (board.state / "engines").glob("*.json")
    assert json.loads(record.read_text())["parts"] == {
        "builder": "tensorrt",
        "version": engine.version,
        "model": hashlib.sha256(board.model.read_bytes()).hexdigest(),
        "compute_capability": "8.7",
        "sm_count": 8,
        "power_mode": None,
        "batch": 2,
        "types": [False, "FP16"],
        "dla_core": None,
    }


def test_another_model_precision_or_dla_does_not_take_the_engine(
    board: Board, write_model: WriteModel
) -> None:
    board.script.dla_cores = 2
    board.has("10.3.0").fed()

    others = [board.fed(precision="fp16"), board.fed(dla_core=0), board.fed(dla_core=1)]
    write_model("N", 3, 8, 16)
    others.append(board.fed())

    assert [engine.facts["cached"] for engine in others] == [False] * 4


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_is_built_once_for_each_setting(board: Board, version: str) -> None:
    board.has(version).fed().close()

    again, other = board.warm(), board.fed(batch=2)

    assert len(board.script.builds) == 2
    assert (again.facts["cached"], other.facts["cached"]) == (True, False)
    assert (again.facts["layers"], again.facts["tf32"]) == (2, True)
    assert "build_s" in again.facts


def test_another_version_does_not_take_the_engine(board: Board) -> None:
    board.has("10.3.0").fed()
    board.has("10.16.1").fed()

    assert len(board.script.builds) == 2


def test_other_sms_or_another_power_mode_do_not_take_the_engine(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.root = tmp_path / "root"
    modes = "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=25W >\n"
    status = board.root / "var/lib/nvpmodel/status"
    for path, text in ((board.root / "etc/nvpmodel.conf", modes), (status, "pmode:0000\n")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    board.has("10.3.0").fed()
    status.write_text("pmode:0001\n")
    other_mode = board.fed()
    monkeypatch.setenv("FAKE_CUDART_SMS", "4")
    other_sms = board.fed()

    assert [engine.facts["cached"] for engine in (other_mode, other_sms)] == [False, False]
    assert board.fed().facts["cached"] is True
    assert other_sms.facts["sm_count"] == 4
    # Nor do timings of one choose the kernels of another.
    assert len(list((board.state / "engines").glob("timing-10.3.0-*.cache"))) == 3


def test_a_damaged_engine_is_built_anew_and_told(board: Board) -> None:
    board.has("10.3.0").fed()
    next((board.state / "engines").glob("*.engine")).write_bytes(b"{")

    engine = board.fed()

    assert "its bytes are not those that were written" in engine.facts["cache"]
    assert len(board.script.builds) == 2


def test_a_kept_engine_that_tensorrt_does_not_take_is_built_anew_and_told(board: Board) -> None:
    board.has("10.3.0").fed()
    board.script.loads_fail = 1

    engine = board.warm()

    assert engine.facts["cached"] is False
    assert "Serialization assertion" in engine.facts["cache"]


def test_without_a_state_folder_nothing_is_kept(board: Board) -> None:
    case = Case(model=str(board.model), engine="tensorrt")
    board.has("10.3.0")
    for _ in range(2):
        engine = open_engine(case, Request(cases=[case]), Path("/nothing"))
        engine.load()
        engine.close()

    assert len(board.script.builds) == 2
    assert not board.state.exists()


def test_a_run_that_fails_is_told_in_tensorrts_words(board: Board) -> None:
    engine = board.has("10.3.0").fed()
    board.script.runs_fail = True

    with pytest.raises(AgentError, match="cannot run the engine: Cuda Runtime"):
        engine.run()


def test_memory_that_is_short_is_told(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = board.has("10.3.0").open()
    engine.load()
    monkeypatch.setenv("FAKE_CUDART", "out-of-memory")

    with pytest.raises(AgentError, match=r"cudaMalloc: out of memory \(2\)"):
        engine.feed()


def test_an_output_whose_size_depends_on_the_data_is_refused(board: Board) -> None:
    board.script.outputs = {"boxes": [1, -1, 4]}

    with pytest.raises(AgentError, match="output 'boxes' has a size that depends on the data"):
        board.has("10.3.0").fed()


def test_an_input_type_that_numpy_has_not_is_refused(board: Board) -> None:
    board.script.input_type = "BF16"

    with pytest.raises(AgentError, match="input 'images' is BF16; known: FLOAT"):
        board.has("10.3.0").fed()


def test_an_output_type_that_only_has_a_size_comes_back_in_that_size(board: Board) -> None:
    board.script.output_type = "BF16"
    engine = board.has("10.3.0").fed(batch=3)

    engine.run()

    assert len(output(engine)) == 3 * 4 * 2


@pytest.mark.parametrize("kind", ["HALF", "INT8", "INT32", "BOOL", "UINT8", "INT64"])
def test_every_input_type_that_numpy_has_is_fed_in_its_size(board: Board, kind: str) -> None:
    board.script.input_type = kind
    engine = board.has("10.3.0").fed(batch=2)

    assert engine._execution is not None
    (buffer,) = engine._execution._inputs
    size = {"HALF": 2, "INT32": 4, "INT64": 8}.get(kind, 1)
    assert buffer.size == 2 * 3 * 8 * 8 * size


def test_an_engine_that_cannot_be_kept_is_used_all_the_same(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)

    engine = board.has("10.3.0").warm()

    assert engine.facts["cache"] == "not kept: No space left on device"
    assert list((board.state / "engines").iterdir()) == []
