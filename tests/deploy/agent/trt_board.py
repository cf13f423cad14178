"""A machine with one version of TensorRT: stand-ins for it and for CUDA's runtime."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from edgestill.deploy.agent import cudart
from edgestill.deploy.agent.engine_tensorrt import TensorRT
from edgestill.deploy.agent.engines import open_engine
from edgestill.deploy.agent.protocol import Case, Request
from edgestill.deploy.agent.timing import Window

from .test_cudart import alive
from .trt_bindings import Script, bindings


class Board:
    """A machine with one version of TensorRT."""

    def __init__(self, model: Path, state: Path, script: Script, patch: pytest.MonkeyPatch) -> None:
        self.model, self.state, self.script, self._patch = model, state, script, patch
        self.opened: list[TensorRT] = []
        self.root = Path("/nothing")

    def has(self, version: str) -> Board:
        self.trt = bindings(version, self.script)
        self._patch.setitem(sys.modules, "tensorrt", self.trt)
        return self

    def open(self, **changes: Any) -> TensorRT:
        case = Case(model=str(self.model), engine="tensorrt", **changes)
        request = Request(cases=[case], state_dir=str(self.state), seed=7)
        engine = open_engine(case, request, self.root)
        assert isinstance(engine, TensorRT)
        self.opened.append(engine)
        return engine

    def fed(self, **changes: Any) -> TensorRT:
        engine = self.open(**changes)
        engine.load()
        engine.feed()
        return engine

    def warm(self, **changes: Any) -> TensorRT:
        engine = self.fed(**changes)
        engine.run()
        engine.warm_up(time.perf_counter_ns, 0.0, lambda runs, seconds: None)
        return engine


@contextmanager
def board_with(
    library: Path, model: Path, state: Path, patch: pytest.MonkeyPatch
) -> Iterator[Board]:
    """A board that gave everything back when it is left."""
    patch.setattr(cudart, "LIBRARIES", (str(library),))
    patch.setattr(cudart, "_of_wheels", list)
    board = Board(model, state, Script(library), patch)
    yield board
    for engine in board.opened:
        engine.close()
    assert alive(library) == 0, "memory, streams, events or graphs were not given back"


def windowed(engine: TensorRT) -> Window:
    return engine.window(
        time.perf_counter_ns,
        seconds=0.0,
        min_runs=20,
        max_seconds=30.0,
        begin=lambda instant: None,
        tick=lambda runs, seconds: None,
    )


def quantized(path: Path) -> None:
    """The file's first input passes through Q and DQ, as an int8 export's does."""
    model = onnx.load(path)
    nodes, taken = model.graph.node, model.graph.input[0].name
    for node in nodes:
        node.input[:] = ["dq" if name == taken else name for name in node.input]
    nodes.insert(0, helper.make_node("QuantizeLinear", [taken, "scale"], ["q"]))
    nodes.insert(1, helper.make_node("DequantizeLinear", ["q", "scale"], ["dq"]))
    model.graph.initializer.append(helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1]))
    onnx.save(model, path)


def output(engine: TensorRT) -> bytes:
    """What came back from the device."""
    assert engine._execution is not None
    (buffer,) = engine._execution._outputs
    return ctypes.string_at(buffer.host, buffer.size)
