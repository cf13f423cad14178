"""What TensorRT's builder is told, in each version's API, and what becomes of its refusals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from onnx import TensorProto

from edgestill.deploy.agent.errors import AgentError

from .test_cudart import compiled
from .trt_bindings import VERSIONS
from .trt_board import Board, board_with, quantized

WriteModel: TypeAlias = Callable[..., Path]
WEAK = [version for version in VERSIONS if int(version.split(".")[0]) <= 10]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("cudart"))


@pytest.fixture
def board(
    library: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Board]:
    with board_with(library, tiny_model, tmp_path / "state", monkeypatch) as board:
        yield board


@pytest.mark.parametrize(
    ("version", "flags"),
    [("8.6.1", 1 << 0), ("10.3.0", 1 << 1), ("10.16.1", 1 << 1), ("11.4.0", 1)],
)
def test_the_networks_flags_are_those_that_this_version_has(
    board: Board, version: str, flags: int
) -> None:
    board.has(version).fed()

    assert board.script.builds[0]["network_flags"] == flags


@pytest.mark.parametrize("version", WEAK)
def test_up_to_10_the_builder_is_told_that_it_may_use_float16(board: Board, version: str) -> None:
    engine = board.has(version).fed(precision="fp16")

    explicit = 1 if version.startswith("8") else 0
    assert board.script.builds[0]["flags"] == ["FP16"]
    assert board.script.builds[0]["network_flags"] == explicit
    assert engine.facts["precision_flags"] == ["FP16"]
    assert engine.facts["strongly_typed"] is False


def test_from_11_on_a_precision_that_the_file_has_not_is_refused(board: Board) -> None:
    with pytest.raises(AgentError, match="lives in the ONNX file on TensorRT 11"):
        board.has("11.4.0").fed(precision="fp16")

    assert board.script.builds == []


def test_float16_files_need_a_flag_where_networks_cannot_be_strongly_typed(
    board: Board, write_model: WriteModel
) -> None:
    write_model(kind=TensorProto.FLOAT16)

    board.has("8.6.1").fed().run()

    assert board.script.builds[0]["flags"] == ["FP16"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_build_asks_for_details_a_workspace_and_one_batch(board: Board, version: str) -> None:
    board.has(version).fed(batch=4)

    (asked,) = board.script.builds
    assert asked["verbosity"] == "ProfilingVerbosity.DETAILED"
    assert asked["pools"] == {"WORKSPACE": 1 << 30}
    assert asked["profiles"] == [{"images": ([4, 3, 8, 8],) * 3}]


def test_a_fixed_batch_needs_no_profile_and_takes_no_other(
    board: Board, write_model: WriteModel
) -> None:
    write_model(1, 3, 8, 8)
    board.has("10.3.0").fed().run()

    assert board.script.builds[0]["profiles"] == []
    with pytest.raises(AgentError, match="'images' has the fixed batch 1, asked for 8"):
        board.fed(batch=8)


def test_a_free_axis_beside_the_batch_is_refused_by_name(
    board: Board, write_model: WriteModel
) -> None:
    write_model("N", 3, "height", 8)

    with pytest.raises(AgentError, match="'images' has free axes beside the batch"):
        board.has("10.3.0").fed()


@pytest.mark.parametrize("version", WEAK)
def test_up_to_10_a_quantized_file_may_be_built_with_float16_beside_its_int8(
    board: Board, version: str
) -> None:
    quantized(board.model)

    board.has(version).fed(precision="int8")

    assert board.script.builds[0]["flags"] == ["FP16", "INT8"]


def test_from_11_on_a_quantized_file_is_built_as_it_is_without_a_flag(board: Board) -> None:
    quantized(board.model)

    board.has("11.4.0").fed(precision="int8")

    assert board.script.builds[0]["flags"] == []


def test_timings_of_one_build_help_the_next(board: Board) -> None:
    board.has("10.3.0").fed()
    board.fed(batch=2)

    assert [asked["timings"] for asked in board.script.builds] == [b"", b"+"]


def test_timings_that_are_not_taken_are_begun_anew(board: Board) -> None:
    board.has("10.3.0").fed()
    board.script.timing_cache_refused = True

    board.fed(batch=2)

    assert board.script.builds[-1]["timings"] == b""


@pytest.mark.parametrize("version", VERSIONS)
def test_a_dla_is_asked_for_with_the_gpu_behind_it(
    board: Board, write_model: WriteModel, version: str
) -> None:
    board.script.dla_cores = 2

    engine = board.has(version).warm(dla_core=1)

    (asked,) = board.script.builds
    assert (asked["device"], asked["dla_core"]) == ("DeviceType.DLA", 1)
    assert asked["flags"][-1] == "GPU_FALLBACK"
    assert ("FP16" in asked["flags"]) == (version in WEAK)
    assert engine._runtime.DLA_core == 1
    assert engine.provider == "DLA 1, then GPU"


def test_a_dla_that_the_module_has_not_is_refused(board: Board) -> None:
    with pytest.raises(AgentError, match="no DLA core 0: there are 0"):
        board.has("10.3.0").fed(dla_core=0)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_parser_objects_to_is_told_in_one_line_with_the_nodes(
    board: Board, version: str
) -> None:
    board.script.parser_errors = ((3, "/head/Foo", "No importer\nfor Foo"), (7, "", "Bad axis"))
    names = "" if version == "8.6.1" else r" \(/head/Foo\)"

    with pytest.raises(
        AgentError,
        match=rf"cannot parse tiny\.onnx: node 3{names}: No importer for Foo; node 7: Bad",
    ):
        board.has(version).fed()


def test_a_build_that_fails_is_told_in_tensorrts_words(board: Board) -> None:
    board.script.build_fails = True

    with pytest.raises(
        AgentError, match=r"cannot build tiny\.onnx: Could not find any impl.*conv1"
    ):
        board.has("10.3.0").fed()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_machine_without_a_gpu_is_told(board: Board, version: str) -> None:
    board.script.no_device = True

    with pytest.raises(AgentError, match=r"TensorRT is here, a CUDA device is not .*error: 35"):
        board.has(version).fed()


def test_a_machine_without_the_package_is_told_where_it_comes_from(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    with pytest.raises(AgentError, match="apt-get install python3-libnvinfer") as refused:
        board.open()

    assert refused.value.kind == "missing"


def test_a_tensorrt_whose_tensors_have_no_addresses_is_refused_with_the_way_out(
    board: Board,
) -> None:
    board.has("8.6.1").trt.__version__ = "8.2.1.8"  # JetPack 4.6

    with pytest.raises(AgentError, match=r"needs TensorRT 8\.5 .* this is 8\.2\.1\.8; .*trtexec"):
        board.open()


def test_a_machine_without_numpy_is_told_before_anything_is_built(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)

    with pytest.raises(AgentError, match="numpy"):
        board.has("10.3.0").open()
