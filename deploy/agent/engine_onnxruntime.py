"""ONNX Runtime as an engine: opened on the provider asked for or not at all, fed a seeded batch."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable

from .cudart import open_cudart
from .engine import Engine
from .engine_cache import EngineCache, sha256
from .errors import AgentError
from .files import Files
from .inputs import fixed_sizes, seeded_array
from .onnxruntime_profile import fallback_of, nodes_of
from .power_mode import power_mode
from .programs import Programs
from .protocol import Case, Request
from .timing import Tick, WarmUp

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
SHORT = {"": CPU, "cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}
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
UNCOUNTED_RUNS, COUNTED_RUNS = 5, 20  # of the pass that times each layer


class OnnxRuntime(Engine):
    """A session and its input; `run()` is one call of `InferenceSession.run`, as a user's."""

    name = "onnxruntime"

    def __init__(self, case: Case, request: Request, root: Path = Path("/")) -> None:
        """Import the packages. Raises AgentError: one is missing, or has no such provider."""
        super().__init__()
        self._numpy = _import("numpy")
        self._ort = _import("onnxruntime")
        self._case, self._request, self._root = case, request, root
        self._made: Path | None = None
        self.session: Any = None
        self.feeds: dict[str, Any] = {}
        self._watched = False
        self.version = str(self._ort.__version__)
        self.provider = SHORT.get(case.provider.lower(), case.provider)
        available = self._ort.get_available_providers()
        if self.provider not in available:
            raise AgentError(
                "device",
                f"ONNX Runtime {self.version} here has no {self.provider};"
                f" it has: {', '.join(available)}",
            )
        if case.precision != "as-file":
            raise AgentError(
                "request",
                f"ONNX Runtime runs the types that a file has, and has no precision"
                f" {case.precision}; export the model in it and ask for as-file",
            )
        if case.dla_core is not None and self.provider != TENSORRT:
            raise AgentError(
                "request", f"{self.provider} has no DLA; ask for the provider tensorrt"
            )
        if self.provider != CPU:
            self.facts["transfers"] = "included"  # what `run` takes and gives is host memory

    def load(self) -> None:
        """Open the model. Raises AgentError: no such file, no such model, another provider."""
        path = Path(self._case.model)
        if not path.is_file():
            raise AgentError("request", f"no model file {path}")
        # Where a GPU is asked for, the first inference tells which nodes it really takes.
        self._watched = self.provider != CPU
        self.session = self._open(path, profiled=self._watched)
        used = self.session.get_providers()[0]
        if used != self.provider:
            raise AgentError(
                "device", f"asked for {self.provider}, ONNX Runtime fell back to {used}"
            )
        self.session.disable_fallback()

    def feed(self) -> None:
        """Make one seeded batch. Raises AgentError: an input of another kind or shape."""
        self.feeds = {
            node.name: random_input(self._numpy, node, self._case.batch, self._request.seed)
            for node in self.session.get_inputs()
        }

    def run(self) -> None:
        """One inference, to the end."""
        try:
            self.session.run(None, self.feeds)
        except Exception as error:  # its error types share no base class but this one
            message = f"ONNX Runtime cannot run the model: {_first_line(error)}"
            raise AgentError("request", message) from error

    def warm_up(self, clock_ns: Callable[[], int], seconds: float, tick: Tick) -> WarmUp:
        """As every engine's. Raises AgentError: no node of the model runs where it should."""
        if self._watched:
            self._watched = False
            self._count(self._nodes(self.session))
            if self.provider not in self.facts["nodes"]:
                others = ", ".join(self.facts["nodes"])
                raise AgentError(
                    "device", f"asked for {self.provider}, but every node of the model is {others}"
                )
        return super().warm_up(clock_ns, seconds, tick)

    def layers(self) -> list[dict[str, Any]]:
        """[{"name", "ms", "provider"}] by ONNX Runtime's own profile, in a session of its own.

        Its times are whole microseconds, rounded down: a node of 2 us may show as 1.
        """
        session = self._open(Path(self._case.model), profiled=True)
        for _ in range(UNCOUNTED_RUNS + COUNTED_RUNS):
            session.run(None, self.feeds)
        nodes = self._nodes(session, UNCOUNTED_RUNS)
        self._count(nodes)
        return [
            {"name": node["name"], "ms": node["us"] / COUNTED_RUNS / 1000, "provider": node["by"]}
            for node in nodes
        ]

    def close(self) -> None:
        """Free the model, and what a measurement without a state folder wrote."""
        self.session = None
        if self._made is not None:
            shutil.rmtree(str(self._made), ignore_errors=True)
            self._made = None

    def _open(self, path: Path, profiled: bool) -> Any:
        options = self._ort.SessionOptions()
        options.log_severity_level = 3
        options.inter_op_num_threads = 1
        if self._case.threads is not None:
            options.intra_op_num_threads = self._case.threads
        if profiled:
            options.enable_profiling = True
            options.profile_file_prefix = str(self._folder() / "profile")
        try:
            return self._ort.InferenceSession(
                str(path), options, providers=self._providers(path), enable_fallback=0
            )
        except Exception as error:  # as above
            raise AgentError(
                "request", f"ONNX Runtime cannot load {path.name}: {_first_line(error)}"
            ) from error

    def _providers(self, path: Path) -> list[Any]:
        if self.provider != TENSORRT:
            return [self.provider]
        options: dict[str, Any] = {}
        if b"QuantizeLinear" in path.read_bytes():
            options["trt_int8_enable"] = True  # without it TensorRT refuses Q/DQ nodes
        if self._case.dla_core is not None:
            # A DLA has no 32-bit floats.
            options.update(
                trt_dla_enable=True, trt_dla_core=self._case.dla_core, trt_fp16_enable=True
            )
        self.facts["provider_options"] = dict(options)
        options.update(
            trt_engine_cache_enable=True,
            trt_engine_cache_path=str(self._engines(path, options)),
            trt_timing_cache_enable=True,
        )
        available = self._ort.get_available_providers()
        # What TensorRT cannot take is better on the GPU than on the CPU.
        return [(TENSORRT, options), *[name for name in (CUDA,) if name in available]]

    def _engines(self, path: Path, options: dict[str, Any]) -> Path:
        """A folder for the engines and timings of this model under this setting alone.

        ONNX Runtime names what it keeps by the names of the file and of its nodes: another training
        of the same network, another batch or another power mode would be given this one's engine.
        """
        kept = self._request.state_dir
        if not kept:
            return self._folder()
        parts = {
            "builder": "onnxruntime",
            "version": self.version,
            "model": sha256(path),
            "batch": self._case.batch,
            "options": options,
            "sm_count": _sm_count(),
            "power_mode": power_mode(Files(self._root), Programs(self._root)),
        }
        return EngineCache(Path(kept) / "engines").folder_for(parts)

    def _folder(self) -> Path:
        if self._made is None:
            self._made = Path(tempfile.mkdtemp(prefix="edgestill-onnxruntime-"))
        return self._made

    def _nodes(self, session: Any, uncounted: int = 0) -> list[dict[str, Any]]:
        """End the session's profile and read it."""
        import json

        path = Path(session.end_profiling())
        try:
            return nodes_of(json.loads(path.read_text()), uncounted)
        finally:
            path.unlink()

    def _count(self, nodes: list[dict[str, Any]]) -> None:
        providers = [node["by"] for node in nodes]
        self.facts["nodes"] = {name: providers.count(name) for name in sorted(set(providers))}
        fallback = fallback_of(nodes, (self.provider, CUDA))
        if fallback is not None and self.provider != CPU:
            self.facts["fallback"] = fallback


def random_input(numpy: Any, node: Any, batch: int, seed: int) -> Any:
    """A seeded array for one input. Raises AgentError: of another kind or shape."""
    if node.type not in DTYPES:
        known = ", ".join(DTYPES)
        raise AgentError("request", f"input {node.name!r} is {node.type}; known: {known}")
    return seeded_array(numpy, DTYPES[node.type], fixed_sizes(node.name, node.shape, batch), seed)


def installed() -> dict[str, Any]:
    """Version and providers of the ONNX Runtime here. Raises ImportError where there is none."""
    import onnxruntime

    return {
        "version": str(onnxruntime.__version__),
        "providers": list(onnxruntime.get_available_providers()),
    }


def _sm_count() -> int | None:
    """Of the first CUDA device; None: no library tells, and ONNX Runtime says what it lacks."""
    try:
        return open_cudart().sm_count()
    except AgentError:
        return None


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
