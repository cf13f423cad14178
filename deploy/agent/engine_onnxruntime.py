"""ONNX Runtime as an engine: opened on the provider asked for or not at all, fed a seeded batch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .errors import AgentError
from .protocol import Request

# ONNX Runtime's names of element types -> numpy's
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}


class OnnxRuntime:
    """A session and its input; `run()` is one call of `InferenceSession.run`, as a user's."""

    name = "onnxruntime"

    def __init__(self, request: Request) -> None:
        """Import the packages. Raises AgentError: one is missing, or has no such provider."""
        self._numpy = _import("numpy")
        self._ort = _import("onnxruntime")
        self._request = request
        self.version = str(self._ort.__version__)
        self.provider = request.provider
        available = self._ort.get_available_providers()
        if request.provider not in available:
            raise AgentError(
                "device",
                f"ONNX Runtime {self.version} here has no {request.provider};"
                f" it has: {', '.join(available)}",
            )

    def load(self) -> None:
        """Open the model. Raises AgentError: no such file, no such model, another provider."""
        path = Path(self._request.model)
        if not path.is_file():
            raise AgentError("request", f"no model file {path}")
        options = self._ort.SessionOptions()
        options.log_severity_level = 3
        options.inter_op_num_threads = 1
        if self._request.threads is not None:
            options.intra_op_num_threads = self._request.threads
        try:
            session = self._ort.InferenceSession(str(path), options, providers=[self.provider])
        except Exception as error:  # its error types share no base class but this one
            raise AgentError(
                "request", f"ONNX Runtime cannot load {path.name}: {_first_line(error)}"
            ) from error
        used = session.get_providers()[0]
        if used != self.provider:
            raise AgentError(
                "device", f"asked for {self.provider}, ONNX Runtime fell back to {used}"
            )
        self._session = session

    def feed(self) -> None:
        """Make one seeded batch. Raises AgentError: an input of another kind or shape."""
        self._feed = {
            node.name: random_input(self._numpy, node, self._request)
            for node in self._session.get_inputs()
        }

    def run(self) -> None:
        """One inference, to the end."""
        try:
            self._session.run(None, self._feed)
        except Exception as error:  # as above
            message = f"ONNX Runtime cannot run the model: {_first_line(error)}"
            raise AgentError("request", message) from error


def random_input(numpy: Any, node: Any, request: Request) -> Any:
    """A seeded array for one input: a free first axis is the batch, the others must be fixed."""
    if node.type not in DTYPES:
        known = ", ".join(DTYPES)
        raise AgentError("request", f"input {node.name!r} is {node.type}; known: {known}")
    sizes = list(node.shape)
    if sizes and not isinstance(sizes[0], int):
        sizes[0] = request.batch
    elif sizes and sizes[0] != request.batch:
        raise AgentError(
            "request",
            f"input {node.name!r} has the fixed batch {sizes[0]}, asked for {request.batch}",
        )
    free = [str(size) for size in sizes if not isinstance(size, int)]
    if free:
        raise AgentError(
            "request",
            f"input {node.name!r} has free axes beside the batch: {', '.join(free)};"
            " export it with fixed sizes",
        )
    generator = numpy.random.default_rng(request.seed)
    dtype = numpy.dtype(DTYPES[node.type])
    if dtype.kind == "f":
        return generator.standard_normal(sizes, dtype=numpy.float32).astype(dtype)
    return generator.integers(0, 2, size=sizes).astype(dtype)  # 0 and 1 are valid indices, too


def installed() -> dict[str, Any]:
    """Version and providers of the ONNX Runtime here. Raises ImportError where there is none."""
    import onnxruntime

    return {
        "version": str(onnxruntime.__version__),
        "providers": list(onnxruntime.get_available_providers()),
    }


def _import(module: str) -> Any:
    try:
        return __import__(module)
    except ImportError as error:
        raise AgentError(
            "missing",
            f"{module} does not load ({error});"
            f" install it with: {sys.executable} -m pip install {module}",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
