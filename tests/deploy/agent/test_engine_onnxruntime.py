"""ONNX Runtime loads, feeds and runs what it is given, or says in one line why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from edgestill.deploy.agent.engine_onnxruntime import OnnxRuntime, random_input
from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.protocol import Request

WriteModel: TypeAlias = Callable[..., Path]


def opened(path: Path, **changes: Any) -> OnnxRuntime:
    engine = OnnxRuntime(Request(model=str(path), threads=1, **changes))
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


def test_the_same_seed_gives_the_same_input() -> None:
    node = SimpleNamespace(name="x", type="tensor(float)", shape=["N", 3, 8, 8])

    first, again, other = (
        random_input(np, node, Request(model="m", batch=2, seed=seed)) for seed in (1, 1, 2)
    )

    assert first.shape == (2, 3, 8, 8)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_fixed_batch_other_than_the_one_asked_for_is_refused(write_model: WriteModel) -> None:
    with pytest.raises(AgentError, match="'images' has the fixed batch 1, asked for 8"):
        opened(write_model(1, 3, 8, 8), batch=8)


def test_a_free_size_beside_the_batch_is_refused_by_name(write_model: WriteModel) -> None:
    with pytest.raises(AgentError, match="free axes beside the batch: height"):
        opened(write_model("N", 3, "height", 8))


def test_an_input_that_is_no_tensor_of_numbers_is_refused() -> None:
    node = SimpleNamespace(name="x", type="tensor(string)", shape=[1])

    with pytest.raises(AgentError, match=r"input 'x' is tensor\(string\)"):
        random_input(np, node, Request(model="m"))


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


def test_a_silent_fallback_to_another_provider_is_refused(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a board whose GPU provider is listed but does not start.
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    real_session = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda path, options, providers: real_session(path, providers=listed[1:]),
    )

    with pytest.raises(AgentError, match=r"asked for CUDA.*, ONNX Runtime fell back to CPU"):
        opened(tiny_model, provider="CUDAExecutionProvider")


def test_a_model_that_fails_while_running_is_refused_in_one_line(write_model: WriteModel) -> None:
    engine = opened(write_model("N", 5, 8, 8))  # five channels for a convolution of three

    with pytest.raises(AgentError, match="cannot run the model"):
        engine.run()
