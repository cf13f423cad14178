"""TensorRT's Python package, 8.6 to 11: all that differs between versions, and the building.

8.6 has no strong typing and wants EXPLICIT_BATCH; 10 has both ways; 11 has neither EXPLICIT_BATCH
nor the FP16 and INT8 flags. A member is asked for only where it exists: the same number means
another thing elsewhere (STRONGLY_TYPED is 1 in 10, 0 in 11, and 1 was EXPLICIT_PRECISION in 8).
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Mapping, Sequence, Tuple

from .errors import AgentError
from .inputs import fixed_sizes
from .precision import Types

Sizes = Tuple[Sequence[int], Sequence[int], Sequence[int]]
Shapes = Mapping[str, Sizes]
WORKSPACE_BYTES = 1 << 30
OLDEST = (8, 5)  # the first whose tensors have names and addresses (JetPack 5.1)


def load_tensorrt() -> Any:
    """The module. Raises AgentError: it, or numpy, does not load here, or it is too old."""
    try:
        import_module("numpy")  # before anything is built that could not be fed then
        trt = import_module("tensorrt")
    except (ImportError, OSError) as error:
        raise AgentError(
            "missing",
            f"tensorrt does not load in {sys.executable} ({error}); on a Jetson it belongs to the"
            " system's Python: sudo apt-get install python3-libnvinfer, and --system-site-packages"
            " in a virtual environment",
        ) from error
    numbers = re.findall(r"\d+", str(trt.__version__))
    if tuple(map(int, numbers[:2])) < OLDEST:
        raise AgentError(
            "device",
            f"the engine tensorrt needs TensorRT 8.5 or newer, and this is {trt.__version__};"
            " the engine trtexec measures older ones",
        )
    return trt


def messages(trt: Any) -> Any:
    """A logger for TensorRT that keeps its errors and prints nothing: stdout is for JSON."""

    class Messages(trt.ILogger):  # type: ignore[misc]  # the module is known only now
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(" ".join(text.split()))

        def last(self) -> str:
            """The last errors, for a message."""
            return "; ".join(dict.fromkeys(self.errors[-3:])) or "TensorRT does not say why"

    return Messages()


def started(kind: Any, logger: Any) -> Any:
    """trt.Builder or trt.Runtime. Raises AgentError: there is no CUDA device that it can use."""
    try:
        return kind(logger)
    except TypeError as error:  # pybind11: "factory function returned nullptr"
        raise AgentError(
            "device", f"TensorRT is here, a CUDA device is not ({logger.last()}; {error})"
        ) from None


def can_be_strong(trt: Any) -> bool:
    """Whether a network can be bound to the types of its file."""
    return hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def build(
    trt: Any,
    logger: Any,
    model: Path,
    batch: int,
    types: Types,
    dla_core: int | None,
    timing_cache: Path | None,
    *,
    shapes: Shapes | None = None,
    workspace_bytes: int = WORKSPACE_BYTES,
) -> tuple[Any, dict[str, Any]]:
    """The serialized engine (a buffer) and {"tf32"}.

    shapes: smallest, best and largest sizes of each input; None: those of `batch` alone.

    Raises:
        AgentError: the model cannot be parsed or built, or there is no such DLA.
    """
    builder = started(trt.Builder, logger)
    if dla_core is not None and dla_core >= builder.num_DLA_cores:
        raise AgentError("request", f"no DLA core {dla_core}: there are {builder.num_DLA_cores}")
    network = builder.create_network(_network_flags(trt, types))
    parser = trt.OnnxParser(network, logger)  # holds the weights until the engine is built
    if not parser.parse_from_file(str(model)):
        raise AgentError("request", f"TensorRT cannot parse {model.name}: {_errors(parser)}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_bytes)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    for flag in types.flags:
        config.set_flag(getattr(trt.BuilderFlag, flag))
    if dla_core is not None:
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = dla_core
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    _add_profile(builder, network, config, batch, shapes)
    _load_timings(config, timing_cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise AgentError("device", f"TensorRT cannot build {model.name}: {logger.last()}")
    _keep_timings(config, timing_cache)
    return plan, {"tf32": bool(config.get_flag(trt.BuilderFlag.TF32))}


def opened(runtime: Any, logger: Any, plan: Any) -> Any:
    """The engine that `build` gave, open. Raises AgentError: TensorRT does not take it back."""
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise AgentError("device", f"TensorRT built an engine, but cannot load it: {logger.last()}")
    return engine


def layers_json(trt: Any, engine: Any) -> str:
    """What the inspector says of the engine's layers: a JSON object with "Layers"."""
    inspector = engine.create_engine_inspector()
    return str(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def _network_flags(trt: Any, types: Types) -> int:
    flags = trt.NetworkDefinitionCreationFlag
    if types.strong:
        return 1 << int(flags.STRONGLY_TYPED)
    # From 10 on every batch is explicit, and the flag a deprecated word for it.
    explicit = int(trt.__version__.split(".")[0]) < 10
    return 1 << int(flags.EXPLICIT_BATCH) if explicit else 0


def _add_profile(
    builder: Any, network: Any, config: Any, batch: int, shapes: Shapes | None
) -> None:
    """The sizes that the engine takes: an input with free axes gets them by a profile."""
    profile, free = builder.create_optimization_profile(), False
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = list(tensor.shape)
        if shapes is None:
            sizes: Sizes = (fixed_sizes(tensor.name, shape, batch),) * 3
        elif tensor.name in shapes:
            sizes = shapes[tensor.name]
        else:
            raise AgentError("request", f"no sizes are given for the input {tensor.name!r}")
        least, best, most = map(list, sizes)
        if best != shape:
            profile.set_shape(tensor.name, least, best, most)
            free = True
    if free:
        config.add_optimization_profile(profile)


def _load_timings(config: Any, path: Path | None) -> None:
    """Timings of kernels from earlier builds: a rebuild is faster, and more often the same."""
    if path is None:
        return
    known = path.read_bytes() if path.is_file() else b""
    # One of another GPU or version is not taken; then this build begins one of its own.
    if not config.set_timing_cache(config.create_timing_cache(known), False) and known:
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _keep_timings(config: Any, path: Path | None) -> None:
    if path is None:
        return
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(bytes(memoryview(config.get_timing_cache().serialize())))
        os.replace(str(unfinished), str(path))
    except OSError:  # no space, say: it only saves time, and the engine is there
        if unfinished.exists():
            unfinished.unlink()


def _errors(parser: Any) -> str:
    """All that the parser objects to, with the nodes; their names are known from 10 on."""
    found = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        name = error.node_name() if hasattr(error, "node_name") else ""
        place = f"node {error.node()} ({name})" if name else f"node {error.node()}"
        found.append(f"{place}: {' '.join(error.desc().split())}")
    return "; ".join(found) or "it does not say why"
