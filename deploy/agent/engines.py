"""Which engine a case asks for, imported only then: a device has the packages of some."""

from __future__ import annotations

from pathlib import Path

from .engine import Engine
from .errors import AgentError
from .protocol import ENGINES, Case, Request


def open_engine(case: Case, request: Request, root: Path) -> Engine:
    """The engine of `case`, not loaded yet.

    Raises:
        AgentError: no such engine, or what it needs is not installed here.
    """
    if case.engine == "onnxruntime":
        from .engine_onnxruntime import OnnxRuntime

        return OnnxRuntime(case, request, root)
    if case.engine == "tensorrt":
        from .engine_tensorrt import TensorRT

        return TensorRT(case, request, root)
    if case.engine == "trtexec":
        from .engine_trtexec import Trtexec

        return Trtexec(case, request, root)
    known = ", ".join(ENGINES)
    raise AgentError("request", f"unknown engine {case.engine!r}; known: {known}")


def worker_of(case: Case) -> str:
    """Whose energy the case uses: "cpu" or "gpu".

    >>> worker_of(Case(model="m")), worker_of(Case(model="m", engine="trtexec"))
    ('cpu', 'gpu')
    """
    on_gpu = case.engine != "onnxruntime" or case.provider.lower().startswith(("cuda", "tensorrt"))
    return "gpu" if on_gpu else "cpu"
