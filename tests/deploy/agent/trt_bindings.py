"""A module `tensorrt` that has exactly what NVIDIA's bindings of one version have, and records.

Which classes, members and enum values there are is read from trt_api/VERSION.json, written from the
real bindings; anything else is an AttributeError, as it would be on a board. What a member does is
written here, as far as the engine needs it, on top of the stand-in for CUDA's runtime.
"""

from __future__ import annotations

import ctypes
import enum
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx

API = Path(__file__).with_name("trt_api")
VERSIONS = sorted(
    (path.stem for path in API.glob("*.json")), key=lambda v: [*map(int, v.split("."))]
)
KERNEL_NS = 2_000_000
LAYERS = (("conv1 + relu1", 1.5), ("fc", 0.5))
LAYER_INFO = {
    "Layers": [
        {"Name": "conv1 + relu1", "Outputs": [{"Format/Datatype": "Int8 NC/32HW32"}]},
        {"Name": "fc", "Outputs": [{"Format/Datatype": "Row major linear FP32"}]},
    ]
}


@dataclass
class Script:
    """What the double has in front of it, what goes wrong, and what was done with it."""

    library: Path
    """The compiled stand-in for CUDA's runtime."""
    inputs: dict[str, list[int]] = field(default_factory=dict)
    """Of the file that was parsed last; -1 is a free axis."""
    outputs: dict[str, list[int]] = field(default_factory=lambda: {"logits": [-1, 4]})
    input_type: str | None = None
    """None: the one that the file says."""
    file_type: str = ""
    output_type: str = "FLOAT"
    dla_cores: int = 0
    no_device: bool = False
    parser_errors: tuple[tuple[int, str, str], ...] = ()
    """(node, name, what)"""
    build_fails: bool = False
    loads_fail: int = 0
    """So many times an engine is not taken."""
    runs_fail: bool = False
    timing_cache_refused: bool = False
    used: set[str] = field(default_factory=set)
    builds: list[dict[str, Any]] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)


def facts_of(version: str) -> dict[str, Any]:
    """What the bindings of this version have."""
    facts: dict[str, Any] = json.loads((API / f"{version}.json").read_text())
    return facts


def bindings(version: str, script: Script) -> Any:
    """The module."""
    facts, module = facts_of(version), ModuleType("tensorrt")
    made: Any = module
    made.__version__ = facts["version"]
    for name, members in facts["enums"].items():
        if "." not in name:
            setattr(made, name, _enum(name, members))
    for name, members in facts["classes"].items():
        behaviour = BEHAVIOURS.get(name, Part)
        setattr(made, name, _guarded(name, members, behaviour, made, script))
    severity = _enum("Severity", facts["enums"]["ILogger.Severity"])
    made.ILogger.Severity = severity
    for member in severity:
        setattr(made.ILogger, member.name, member)
    return made


def _enum(name: str, members: dict[str, int]) -> Any:
    """As pybind11 makes them: int() gives the value, str() the name."""
    return enum.Enum(name, members, type=_Number)


class _Number:
    value: int
    name: str

    def __int__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


class Part:
    """What all classes of the double share."""

    _trt: Any
    _script: Script


def _guarded(name: str, members: dict[str, str], behaviour: type, trt: Any, script: Script) -> type:
    class Guarded(behaviour):  # type: ignore[misc]  # chosen at run time
        _trt, _script = trt, script

        def __getattribute__(self, member: str) -> Any:
            if not member.startswith("_") and type(self) is Guarded:
                script.used.add(f"{name}.{member}")
                if member not in members:
                    raise AttributeError(f"{name} of TensorRT {trt.__version__} has no {member}")
            return super().__getattribute__(member)

        def __setattr__(self, member: str, value: Any) -> None:
            if not member.startswith("_") and type(self) is Guarded:
                script.used.add(f"{name}.{member}")
                if members.get(member) != "read-write":
                    raise AttributeError(f"{name}.{member} cannot be set")
            super().__setattr__(member, value)

    Guarded.__name__ = name
    return Guarded


class Logger(Part):
    def log(self, severity: Any, msg: str) -> None:
        raise NotImplementedError


def _complain(part: Part, logger: Any, text: str) -> None:
    logger.log(part._trt.ILogger.ERROR, text)


class Builder(Part):
    def __init__(self, logger: Any) -> None:
        self._logger = logger
        if self._script.no_device:
            _complain(self, logger, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    @property
    def num_DLA_cores(self) -> int:
        return self._script.dla_cores

    def create_network(self, flags: int = 0) -> Any:
        network = self._trt.INetworkDefinition()
        network._flags = flags
        return network

    def create_builder_config(self) -> Any:
        return self._trt.IBuilderConfig()

    def create_optimization_profile(self) -> Any:
        return self._trt.IOptimizationProfile()

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        asked = {"network_flags": network._flags, **config._asked}
        self._script.builds.append(asked)
        sizes = {name: list(shape) for name, shape in self._script.inputs.items()}
        for profile in asked["profiles"]:
            for name, (least, best, most) in profile.items():
                assert all(a <= b <= c for a, b, c in zip(least, best, most, strict=True))
                sizes[name] = list(best)
        if self._script.build_fails or any(-1 in shape for shape in sizes.values()):
            _complain(self, self._logger, "Could not find any implementation for node {conv1}.")
            return None
        return self._trt.IHostMemory(json.dumps(sizes).encode())


class Network(Part):
    _flags = 0

    @property
    def num_inputs(self) -> int:
        return len(self._script.inputs)

    def get_input(self, index: int) -> Any:
        tensor = self._trt.ITensor()
        tensor._name, tensor._shape = list(self._script.inputs.items())[index]
        return tensor


class Tensor(Part):
    _name: str
    _shape: list[int]

    @property
    def name(self) -> str:
        return self._name

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._shape)


class Parser(Part):
    def __init__(self, network: Any, logger: Any) -> None:
        assert network._flags >= 0

    def parse_from_file(self, model: str) -> bool:
        assert Path(model).is_file()
        script = self._script
        script.inputs = {}
        for each in onnx.load(model).graph.input:
            tensor = each.type.tensor_type
            script.inputs[each.name] = [
                size.dim_value if size.HasField("dim_value") else -1 for size in tensor.shape.dim
            ]
            kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
            script.file_type = {"FLOAT16": "HALF", "BFLOAT16": "BF16"}.get(kind, kind)
        return not script.parser_errors

    @property
    def num_errors(self) -> int:
        return len(self._script.parser_errors)

    def get_error(self, index: int) -> Any:
        error = self._trt.ParserError()
        error._node, error._name, error._desc = self._script.parser_errors[index]
        return error


class Error(Part):
    _node: int
    _name: str
    _desc: str

    def node(self) -> int:
        return self._node

    def node_name(self) -> str:
        return self._name

    def desc(self) -> str:
        return self._desc


class Config(Part):
    profiling_verbosity: Any = None
    default_device_type: Any = None
    DLA_core = -1

    def __init__(self) -> None:
        self._flags: list[str] = []
        self._profiles: list[Any] = []
        self._pools: dict[str, int] = {}
        self._timings: Any = None

    @property
    def _asked(self) -> dict[str, Any]:
        return {
            "flags": self._flags,
            "pools": self._pools,
            "profiles": [profile._shapes for profile in self._profiles],
            "verbosity": str(self.profiling_verbosity),
            "device": self.default_device_type and str(self.default_device_type),
            "dla_core": self.DLA_core,
            "timings": None if self._timings is None else self._timings._known,
        }

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self._pools[pool.name] = pool_size

    def set_flag(self, flag: Any) -> None:
        self._flags.append(flag.name)

    def get_flag(self, flag: Any) -> bool:
        return flag.name == "TF32" or flag.name in self._flags

    def add_optimization_profile(self, profile: Any) -> int:
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
        cache = self._trt.ITimingCache()
        cache._known = serialized_timing_cache
        return cache

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        if cache._known and self._script.timing_cache_refused:
            return False
        self._timings = cache
        return True

    def get_timing_cache(self) -> Any:
        return self._timings


class Profile(Part):
    def __init__(self) -> None:
        self._shapes: dict[str, Any] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        self._shapes[input] = (min, opt, max)


class Timings(Part):
    _known = b""

    def serialize(self) -> Any:
        return self._trt.IHostMemory(self._known + b"+")


class HostMemory(bytes, Part):
    """As the real one, it can be looked into as bytes."""


class Runtime(Part):
    DLA_core = -1

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        if self._script.no_device:
            _complain(self, logger, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Any:
        if self._script.loads_fail:
            self._script.loads_fail -= 1
            _complain(self, self._logger, "Serialization assertion stdVersionRead failed.")
            return None
        engine = self._trt.ICudaEngine()
        engine._logger, engine._sizes = (
            self._logger,
            json.loads(bytes(memoryview(serialized_engine))),
        )
        return engine


class CudaEngine(Part):
    _logger: Any
    _sizes: dict[str, list[int]]

    @property
    def num_io_tensors(self) -> int:
        return len(self._script.inputs) + len(self._script.outputs)

    def get_tensor_name(self, index: int) -> str:
        return [*self._script.outputs, *self._script.inputs][index]

    def get_tensor_mode(self, name: str) -> Any:
        modes = self._trt.TensorIOMode
        return modes.INPUT if name in self._script.inputs else modes.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        script = self._script
        given = script.input_type or script.file_type
        kind = given if name in script.inputs else script.output_type
        return getattr(self._trt.DataType, kind)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple({**self._script.inputs, **self._script.outputs}[name])

    def create_engine_inspector(self) -> Any:
        return self._trt.EngineInspector()

    def create_execution_context(self) -> Any:
        context = self._trt.IExecutionContext()
        context._engine = self
        self._script.contexts.append(context)
        return context


class Inspector(Part):
    def get_engine_information(self, format: Any) -> str:
        assert format is self._trt.LayerInformationFormat.JSON
        return json.dumps(LAYER_INFO)


class Context(Part):
    profiler: Any = None
    _engine: Any

    def __init__(self) -> None:
        self._shapes: dict[str, list[int]] = {}
        self._addresses: dict[str, int] = {}
        self._enqueued = 0

    def set_input_shape(self, name: str, shape: Any) -> bool:
        self._shapes[name] = list(shape)
        return bool(self._shapes[name] == self._engine._sizes[name])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        batch = self._engine._sizes[next(iter(self._script.inputs))][0]
        shape = {**self._script.inputs, **self._script.outputs}[name]
        return tuple([batch if shape[0] == -1 else shape[0], *shape[1:]])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Moves the first bytes of the input to the output, in KERNEL_NS."""
        if self._script.runs_fail:
            _complain(self, self._engine._logger, "Cuda Runtime (an illegal memory access)")
            return False
        for name in self._script.inputs:
            shape = self._shapes.get(name, self._script.inputs[name])
            assert -1 not in shape, f"the shape of {name} was not set"
        self._enqueued += 1
        if self.profiler is not None:
            for name, ms in LAYERS:
                self.profiler.report_layer_time(name, ms)
        source, to = (
            self._addresses[next(iter(d))] for d in (self._script.inputs, self._script.outputs)
        )
        batch = self.get_tensor_shape(next(iter(self._script.outputs)))[0]
        kernel = ctypes.CDLL(str(self._script.library)).fakeKernel
        status = kernel(
            ctypes.c_void_p(to),
            ctypes.c_void_p(source),
            ctypes.c_size_t(4 * (2 if self._script.output_type == "BF16" else 4) * batch),
            ctypes.c_ulonglong(KERNEL_NS),
            ctypes.c_void_p(stream_handle),
        )
        return bool(status == 0)


BEHAVIOURS: dict[str, type] = {
    "Builder": Builder,
    "EngineInspector": Inspector,
    "IBuilderConfig": Config,
    "ICudaEngine": CudaEngine,
    "IExecutionContext": Context,
    "IHostMemory": HostMemory,
    "ILogger": Logger,
    "INetworkDefinition": Network,
    "IOptimizationProfile": Profile,
    "ITensor": Tensor,
    "ITimingCache": Timings,
    "OnnxParser": Parser,
    "ParserError": Error,
    "Runtime": Runtime,
}
