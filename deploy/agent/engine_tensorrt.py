"""TensorRT's Python API as an engine: built here once, then fed from pinned memory by ctypes.

`run` is what a user waits for: inputs to the device, the network, outputs back. `device_ns` is the
network alone, between two events on the stream; it runs as one CUDA graph where it can be captured.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable

from .cudart import open_cudart
from .engine import Engine
from .engine_cache import EngineCache, key_of, sha256
from .files import Files
from .layer_info import layer_counts
from .onnx_file import read_onnx
from .power_mode import power_mode
from .precision import types_for
from .programs import Programs
from .protocol import Case, Request
from .tensorrt_build import (
    build,
    can_be_strong,
    layers_json,
    load_tensorrt,
    messages,
    opened,
    started,
)
from .tensorrt_execution import Execution
from .timing import Tick, WarmUp


class TensorRT(Engine):
    """An engine on the first CUDA device, or on a DLA beside it."""

    name = "tensorrt"

    def __init__(self, case: Case, request: Request, root: Path) -> None:
        """Load the libraries. Raises AgentError: one is missing, or finds no device."""
        super().__init__()
        self._case, self._request = case, request
        self._trt = load_tensorrt()
        self._cuda = open_cudart()
        self._logger = messages(self._trt)
        self._engine: Any = None
        self._execution: Execution | None = None
        self.version = str(self._trt.__version__)
        self.provider = "GPU" if case.dla_core is None else f"DLA {case.dla_core}, then GPU"
        mode = power_mode(Files(root), Programs(root))
        self._mode = mode["name"] if mode else None
        self.facts.update(
            transfers="included",
            spin_wait=False,
            sm_count=self._cuda.sm_count(),
            compute_capability=self._cuda.compute_capability(),
            cuda_runtime=self._cuda.version,
        )

    def load(self) -> None:
        """Take the engine from the cache, or build it. Raises AgentError: that fails."""
        case, path = self._case, Path(self._case.model)
        self._types = types_for(
            case.precision,
            read_onnx(path),
            self.version,
            can_be_strong(self._trt),
            dla=case.dla_core is not None,
        )
        self.facts.update(
            strongly_typed=self._types.strong, precision_flags=list(self._types.flags)
        )
        parts = {
            "builder": "tensorrt",
            "version": self.version,
            "model": sha256(path),
            "compute_capability": self.facts["compute_capability"],
            "sm_count": self.facts["sm_count"],
            "power_mode": self._mode,
            "batch": case.batch,
            "types": [self._types.strong, *self._types.flags],
            "dla_core": case.dla_core,
        }
        self._runtime = started(self._trt.Runtime, self._logger)
        if case.dla_core is not None:
            self._runtime.DLA_core = case.dla_core
        state = self._request.state_dir
        cache = EngineCache(Path(state) / "engines") if state else None
        plan = self._kept(cache, parts)
        self.facts["cached"] = plan is not None
        if plan is not None:
            self._engine = self._runtime.deserialize_cuda_engine(plan)
            if self._engine is None and cache is not None:
                cache.remove(parts)
                self.facts.update(cached=False, cache=f"built anew: {self._logger.last()}")
        if self._engine is None:
            self._build(path, cache, parts)

    def feed(self) -> None:
        """Make a seeded batch, and memory for it and the outputs.

        Raises:
            AgentError: an input of another kind or shape, or no memory for it.
        """
        self._execution = Execution(self._trt, self._cuda, self._engine, self._logger)
        self._execution.feed(self._case.batch, self._request.seed)

    def run(self) -> None:
        """One inference: inputs in, network, outputs out."""
        self._at_work.run()

    def device_ns(self) -> int | None:
        """Of the network in the last run, without the copies."""
        return self._at_work.device_ns()

    def warm_up(self, clock_ns: Callable[[], int], seconds: float, tick: Tick) -> WarmUp:
        """As every engine's, once the network is a graph where that can be."""
        if "cuda_graph" not in self.facts:
            refused = self._at_work.capture()
            self.facts["cuda_graph"] = refused is None
            if refused is not None:
                self.facts["no_cuda_graph"] = refused
        return super().warm_up(clock_ns, seconds, tick)

    def layers(self) -> list[dict[str, Any]]:
        """By TensorRT's profiler, without the graph; it waits after each layer, so that their sum
        is more than an inference takes."""
        return self._at_work.layers()

    def close(self) -> None:
        """Give back memory, handles and the engine, in the order in which they depend."""
        if self._execution is not None:
            self._execution.close()
            self._execution = None
        self._engine = None
        self._runtime = None

    @property
    def _at_work(self) -> Execution:
        assert self._execution is not None, "run before feed"
        return self._execution

    def _kept(self, cache: EngineCache | None, parts: dict[str, Any]) -> bytes | None:
        if cache is None:
            return None
        found = cache.find(parts)
        if cache.damaged:
            self.facts["cache"] = f"built anew: of the engine kept, {cache.damaged}"
        if found is None:
            return None
        self.facts.update(found.facts)
        return found.path.read_bytes()

    def _build(self, path: Path, cache: EngineCache | None, parts: dict[str, Any]) -> None:
        """Build it, open it, and keep it with what was found out."""
        case = self._case
        # Timings of one power mode choose badly in another.
        names = ("compute_capability", "sm_count", "power_mode")
        setting = key_of({name: parts[name] for name in names})
        known = f"timing-{self.version}-{setting}.cache"
        timings = cache.folder / known if cache else None
        start = time.monotonic()
        plan, told = build(
            self._trt, self._logger, path, case.batch, self._types, case.dla_core, timings
        )
        told["build_s"] = round(time.monotonic() - start, 3)
        self._engine = opened(self._runtime, self._logger, plan)
        told.update(layer_counts(layers_json(self._trt, self._engine)) or {})
        self.facts.update(told)
        if cache is None:
            return
        written = cache.room(parts)
        try:
            written.write_bytes(memoryview(plan))
            cache.keep(parts, written, told)
        except OSError as error:  # it is open all the same, and only has to be built again
            self.facts["cache"] = f"not kept: {error.strerror}"
            if written.exists():
                written.unlink()
