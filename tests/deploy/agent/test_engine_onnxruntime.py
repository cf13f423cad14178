"""ONNX Runtime loads, feeds and runs what it is given, or says in one line why not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import onnxruntime
import pytest
from onnx import TensorProto

from edgestill.deploy.agent import cudart
from edgestill.deploy.agent.engine_onnxruntime import OnnxRuntime
from edgestill.deploy.agent.engines import open_engine
from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.onnxruntime_profile import nodes_of
from edgestill.deploy.agent.protocol import Case, Request

from .test_cudart import compiled
from .trt_board import quantized

WriteModel: TypeAlias = Callable[..., Path]


def opened(path: Path, **changes: Any) -> OnnxRuntime:
    case = Case(model=str(path), threads=1, **changes)
    engine = OnnxRuntime(case, Request(cases=[case]))
    engine.load()
    engine.feed()
    return engine


def test_a_model_is_run_and_its_runtime_named(tiny_model: Path) -> None:
    engine = opened(tiny_model, batch=3)

    engine.run()

    assert engine.version == onnxruntime.__version__
    assert engine.provider == "CPUExecutionProvider"


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.INT64])
def test_inputs_of_other_types_are_fed(write_model: WriteModel, kind: int) -> None:
    opened(write_model(kind=kind)).run()


def test_a_fixed_batch_other_than_the_one_asked_for_is_refused(write_model: WriteModel) -> None:
    with pytest.raises(AgentError, match="'images' has the fixed batch 1, asked for 8"):
        opened(write_model(1, 3, 8, 8), batch=8)


def test_a_free_size_beside_the_batch_is_refused_by_name(write_model: WriteModel) -> None:
    with pytest.raises(AgentError, match="free axes beside the batch: height"):
        opened(write_model("N", 3, "height", 8))


def test_an_input_that_is_no_tensor_of_numbers_is_refused(write_model: WriteModel) -> None:
    with pytest.raises(AgentError, match=r"input 'images' is tensor\(string\)"):
        opened(write_model(kind=TensorProto.STRING))


def test_a_broken_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")

    with pytest.raises(AgentError, match=r"cannot load broken\.onnx") as refused:
        opened(path)

    assert refused.value.kind == "request"


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="no model file"):
        opened(tmp_path / "absent.onnx")


def test_a_provider_that_is_not_installed_is_refused_with_those_that_are(tiny_model: Path) -> None:
    with pytest.raises(AgentError, match=r"no NoSuchProvider; it has: .*CPUExecution") as refused:
        opened(tiny_model, provider="NoSuchProvider")

    assert refused.value.exit_code == 3


class Gpu:
    """onnxruntime on a machine with a GPU, as far as a machine without one can show it.

    The sessions are real ones on the CPU; what they say of their providers is not.
    """

    def __init__(self, patch: pytest.MonkeyPatch, starts: bool, takes: str | None) -> None:
        self.asked: list[dict[str, Any]] = []
        real, gpu = onnxruntime.InferenceSession, self

        class Session:
            def __init__(self, path: str, options: Any, **given: Any) -> None:
                gpu.asked.append(given)
                self._real = real(path, options, providers=["CPUExecutionProvider"])

            def get_providers(self) -> list[str]:
                first = gpu.asked[-1]["providers"][0]
                name = first if isinstance(first, str) else first[0]
                return [name, "CPUExecutionProvider"] if starts else ["CPUExecutionProvider"]

            def end_profiling(self) -> str:
                path = Path(self._real.end_profiling())
                text = path.read_text()
                if takes:
                    text = text.replace("CPUExecutionProvider", takes, 1)
                path.write_text(text)
                return str(path)

            def __getattr__(self, name: str) -> Any:
                return getattr(self._real, name)

        providers = ["Tensorrt", "CUDA", "CPU"]
        listed = [f"{name}ExecutionProvider" for name in providers]
        patch.setattr(onnxruntime, "get_available_providers", lambda: listed)
        patch.setattr(onnxruntime, "InferenceSession", Session)


def warm(engine: OnnxRuntime) -> OnnxRuntime:
    engine.run()
    engine.warm_up(time.perf_counter_ns, 0.0, lambda runs, seconds: None)
    return engine


@pytest.mark.parametrize("provider", ["cuda", "CUDAExecutionProvider", "tensorrt"])
def test_a_silent_fallback_to_another_provider_is_refused(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    # As on a board whose GPU provider is listed but does not start.
    gpu = Gpu(monkeypatch, starts=False, takes=None)

    with pytest.raises(AgentError, match=r"asked for .*, ONNX Runtime fell back to CPU"):
        opened(tiny_model, provider=provider)

    assert gpu.asked[0]["enable_fallback"] == 0


def test_a_provider_that_starts_and_takes_no_node_is_refused(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Gpu(monkeypatch, starts=True, takes=None)
    engine = opened(tiny_model, provider="cuda")

    with pytest.raises(AgentError, match="every node of the model is CPUExecutionProvider"):
        warm(engine)


def test_the_nodes_that_each_provider_took_are_counted(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Gpu(monkeypatch, starts=True, takes="CUDAExecutionProvider")

    engine = warm(opened(tiny_model, provider="cuda"))

    assert engine.facts["nodes"]["CUDAExecutionProvider"] == 1
    assert engine.facts["nodes"]["CPUExecutionProvider"] >= 1
    assert "fallback" not in engine.facts  # its convolution is the one node that CUDA took
    assert engine.facts["transfers"] == "included"


def test_tensorrt_keeps_its_engine_in_the_state_folder_and_may_hand_nodes_to_cuda(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gpu = Gpu(monkeypatch, starts=True, takes=None)
    case = Case(model=str(tiny_model), provider="tensorrt", dla_core=1)

    OnnxRuntime(case, Request(cases=[case], state_dir=str(tmp_path))).load()

    (name, options), second = gpu.asked[0]["providers"]
    assert (name, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert Path(options["trt_engine_cache_path"]).is_relative_to(tmp_path)
    assert (options["trt_dla_core"], options["trt_fp16_enable"]) == (1, True)


@pytest.mark.parametrize("other", ["model", "batch", "version", "dla", "mode", "sms"])
def test_tensorrt_engines_of_another_model_or_setting_lie_in_another_folder(
    write_model: WriteModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: str
) -> None:
    gpu = Gpu(monkeypatch, starts=True, takes=None)
    root, library = tmp_path / "root", compiled(tmp_path)
    model, status = write_model("N", 3, 8, 8), root / "var/lib/nvpmodel/status"
    modes = "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=25W >\n"
    for path, text in ((root / "etc/nvpmodel.conf", modes), (status, "pmode:0000\n")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.setattr(cudart, "LIBRARIES", (str(library),))

    def folder(**changes: Any) -> Path:
        case = Case(model=str(model), provider="tensorrt", **changes)
        OnnxRuntime(case, Request(cases=[case], state_dir=str(tmp_path)), root).load()
        return Path(gpu.asked[-1]["providers"][0][1]["trt_engine_cache_path"])

    first, again = folder(), folder()
    changes: dict[str, Any] = {"batch": {"batch": 2}, "dla": {"dla_core": 0}}.get(other, {})
    if other == "model":
        write_model("N", 3, 8, 16)
    elif other == "version":
        monkeypatch.setattr(onnxruntime, "__version__", "0.0.1")
    elif other == "mode":
        status.write_text("pmode:0001\n")
    elif other == "sms":
        monkeypatch.setenv("FAKE_CUDART_SMS", "4")

    assert first == again != folder(**changes)
    assert first.is_dir()
    assert first.parent == tmp_path / "engines"


def test_heavy_nodes_that_ran_elsewhere_than_asked_are_told(
    write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    Gpu(monkeypatch, starts=True, takes="CUDAExecutionProvider")
    model = write_model("N", 3, 8, 8)
    quantized(model)  # now the first node is no convolution

    engine = warm(opened(model, provider="cuda"))

    assert engine.facts["nodes"]["CUDAExecutionProvider"] == 1
    assert engine.facts["fallback"] == (
        "convolutions or matrix products that run on CPUExecutionProvider: 1"
    )


def test_what_a_measurement_without_a_state_folder_writes_is_removed(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Gpu(monkeypatch, starts=True, takes=None)
    engine = opened(tiny_model, provider="tensorrt")
    folder = Path(gpu.asked[0]["providers"][0][1]["trt_engine_cache_path"])
    before = folder.is_dir()

    engine.close()

    assert before
    assert not folder.exists()


def test_the_layers_are_those_that_ran_and_their_times_add_up_to_a_run(tiny_model: Path) -> None:
    engine = opened(tiny_model, batch=64)
    engine.run()

    layers = engine.layers()

    assert sum(engine.facts["nodes"].values()) == len(layers) >= 2
    assert {layer["provider"] for layer in layers} == {"CPUExecutionProvider"}
    assert 0 < sum(layer["ms"] for layer in layers) < 1000
    engine.close()


def test_a_profile_is_read_without_its_first_runs_and_with_every_pass_of_a_loop() -> None:
    def node(name: str, index: str, us: int) -> dict[str, Any]:
        facts = {"provider": "CPU", "op_name": "Conv", "node_index": index}
        return {"cat": "Node", "name": f"{name}_kernel_time", "dur": us, "args": facts}

    run = {"cat": "Session", "name": "model_run", "dur": 1, "args": {}}
    fence = {"cat": "Node", "name": "a_fence_before", "dur": 9, "args": {}}
    cold, warm = node("a", "0", 900), [node("a", "0", 5), node("a", "1", 1), node("a", "1", 1)]

    nodes = nodes_of([cold, run, fence, *warm, run, *warm, run], uncounted=1)

    assert [(each["name"], each["us"]) for each in nodes] == [("Conv a", 10), ("Conv a", 4)]


def test_the_engine_that_a_case_names_is_opened(tiny_model: Path) -> None:
    case = Case(model=str(tiny_model), engine="onnxruntime")

    assert isinstance(open_engine(case, Request(cases=[case]), Path("/")), OnnxRuntime)


def test_a_model_that_fails_while_running_is_refused_in_one_line(write_model: WriteModel) -> None:
    engine = opened(write_model("N", 5, 8, 8))  # five channels for a convolution of three

    with pytest.raises(AgentError, match="cannot run the model"):
        engine.run()


@pytest.mark.parametrize("short", ["", "cpu", "CPU"])
def test_a_provider_may_be_named_shortly(tiny_model: Path, short: str) -> None:
    assert opened(tiny_model, provider=short).provider == "CPUExecutionProvider"


def test_a_precision_beside_the_files_is_refused(tiny_model: Path) -> None:
    with pytest.raises(AgentError, match="no precision int8; export the model in it"):
        opened(tiny_model, precision="int8")


def test_a_dla_is_refused_on_a_provider_without(tiny_model: Path) -> None:
    with pytest.raises(AgentError, match="CPUExecutionProvider has no DLA"):
        opened(tiny_model, dla_core=0)


def test_layers_are_the_nodes_that_ran_with_their_provider(tiny_model: Path) -> None:
    found = opened(tiny_model).layers()

    assert any(layer["name"].startswith(("Conv", "FusedConv")) for layer in found)
    assert sum(layer["ms"] for layer in found) > 0
    assert {layer["provider"] for layer in found} == {"CPUExecutionProvider"}
