"""A TensorRT engine at work on one stream: buffers, copies, events, and the network as a graph."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from .cudart import BLOCKING_EVENT, DEVICE_TO_HOST, HOST_TO_DEVICE, Cudart
from .errors import AgentError
from .inputs import fixed_sizes, seeded_array

# TensorRT's element types -> bits, and numpy's name where it has one
BITS = {
    "FLOAT": 32,
    "HALF": 16,
    "BF16": 16,
    "INT8": 8,
    "UINT8": 8,
    "BOOL": 8,
    "FP8": 8,
    "E8M0": 8,
    "INT32": 32,
    "INT64": 64,
    "INT4": 4,
    "FP4": 4,
}
DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "BOOL": "bool",
    "INT32": "int32",
    "INT64": "int64",
}
UNCOUNTED_RUNS, COUNTED_RUNS = 5, 20  # of the pass that times each layer


@dataclass(frozen=True)
class Buffer:
    """One tensor: the same bytes in pinned host memory and on the device."""

    host: int
    device: int
    size: int


class Execution:
    """One execution context with its memory. Everything it takes, `close` gives back."""

    def __init__(self, trt: Any, cuda: Cudart, engine: Any, logger: Any) -> None:
        self._trt, self._cuda, self._engine, self._logger = trt, cuda, engine, logger
        self._taken: list[tuple[int, Any]] = []
        self._inputs: list[Buffer] = []
        self._outputs: list[Buffer] = []
        self._graph: int | None = None
        self._context: Any = engine.create_execution_context()
        if self._context is None:
            raise AgentError("device", f"no memory to run the engine in: {logger.last()}")

    def feed(self, batch: int, seed: int) -> None:
        """Seeded inputs and room for the outputs.

        Raises:
            AgentError: an input's type or shape cannot be had, an output's size depends on the
                data, or memory is short.
        """
        cuda, modes = self._cuda, self._trt.TensorIOMode
        self._stream = self._take(cuda.stream(), cuda.destroy_stream)
        self._start = self._take(cuda.event(), cuda.destroy_event)
        self._stop = self._take(cuda.event(), cuda.destroy_event)
        self._done = self._take(cuda.event(BLOCKING_EVENT), cuda.destroy_event)
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        inputs = [name for name in names if self._engine.get_tensor_mode(name) == modes.INPUT]
        for name in inputs:  # all of them first: the outputs' shapes follow from theirs
            self._inputs.append(self._input(name, batch, seed))
        for name in names:
            if name not in inputs:
                self._outputs.append(self._output(name))

    def run(self) -> None:
        """Inputs in, network, outputs out; returns when the outputs are there."""
        cuda, stream = self._cuda, self._stream
        for each in self._inputs:
            cuda.copy_async(each.device, each.host, each.size, HOST_TO_DEVICE, stream)
        cuda.record(self._start, stream)
        if self._graph is None:
            self._enqueue()
        else:
            cuda.launch(self._graph, stream)
        cuda.record(self._stop, stream)
        for each in self._outputs:
            cuda.copy_async(each.host, each.device, each.size, DEVICE_TO_HOST, stream)
        cuda.record(self._done, stream)
        cuda.wait(self._done)

    def device_ns(self) -> int:
        """Of the network in the last run."""
        return max(round(self._cuda.elapsed_ms(self._start, self._stop) * 1e6), 1)

    def capture(self) -> str | None:
        """From now on the network is launched as one graph; or why it is not. Run it once before:
        what a first run sets up must not be in the graph."""
        cuda = self._cuda
        refused: AgentError | None = None
        try:
            cuda.begin_capture(self._stream)
        except AgentError as error:
            return str(error)
        try:
            self._enqueue()
        except AgentError as error:
            refused = error
        try:  # the capture has to be ended whatever happened in it
            graph = self._take(cuda.end_capture(self._stream), cuda.destroy_graph)
            if refused is None:
                executable = cuda.instantiate(graph)
                self._graph = self._take(executable, cuda.destroy_executable)
        except AgentError as error:
            refused = refused or error
        return None if refused is None else str(refused)

    def layers(self) -> list[dict[str, Any]]:
        """[{"name", "ms"}] in running order, means of COUNTED_RUNS."""
        times = _layer_times(self._trt)
        self._context.profiler = times
        for number in range(UNCOUNTED_RUNS + COUNTED_RUNS):
            if number == UNCOUNTED_RUNS:
                times.total_ms.clear()
            self._enqueue()
            self._cuda.synchronize(self._stream)
        return [{"name": name, "ms": ms / COUNTED_RUNS} for name, ms in times.total_ms.items()]

    def close(self) -> None:
        """Give everything back, the last taken first."""
        self._context = None
        self._graph = None
        while self._taken:
            handle, give_back = self._taken.pop()
            try:
                give_back(handle)
            except AgentError:
                continue  # after a fault on the device each of these fails, and the process ends

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(stream_handle=self._stream):
            raise AgentError("device", f"TensorRT cannot run the engine: {self._logger.last()}")

    def _input(self, name: str, batch: int, seed: int) -> Buffer:
        import numpy

        kind = self._kind(name)
        if kind not in DTYPES:
            raise AgentError("request", f"input {name!r} is {kind}; known: {', '.join(DTYPES)}")
        shape = list(self._engine.get_tensor_shape(name))
        sizes = fixed_sizes(name, shape, batch)
        if sizes != shape and not self._context.set_input_shape(name, sizes):
            raise AgentError("device", f"input {name!r} cannot be {sizes}: {self._logger.last()}")
        array = numpy.ascontiguousarray(seeded_array(numpy, DTYPES[kind], sizes, seed))
        buffer = self._buffer(name, array.nbytes)
        ctypes.memmove(buffer.host, array.ctypes.data, array.nbytes)
        return buffer

    def _output(self, name: str) -> Buffer:
        count = 1
        for size in self._context.get_tensor_shape(name):
            if size < 0:
                raise AgentError("request", f"output {name!r} has a size that depends on the data")
            count *= size
        kind = self._kind(name)
        if kind not in BITS:
            raise AgentError("request", f"output {name!r} is {kind}; known: {', '.join(BITS)}")
        return self._buffer(name, -(-count * BITS[kind] // 8))

    def _buffer(self, name: str, size: int) -> Buffer:
        cuda, room = self._cuda, max(size, 1)  # an empty tensor has an address, too
        host = self._take(cuda.host_alloc(room), cuda.free_host)
        device = self._take(cuda.malloc(room), cuda.free)
        if not self._context.set_tensor_address(name, device):
            raise AgentError("device", f"tensor {name!r} takes no memory: {self._logger.last()}")
        return Buffer(host, device, size)

    def _kind(self, name: str) -> str:
        """Such as FLOAT, in every version."""
        return str(self._engine.get_tensor_dtype(name)).rpartition(".")[2]

    def _take(self, handle: int, give_back: Any) -> int:
        self._taken.append((handle, give_back))
        return handle


def _layer_times(trt: Any) -> Any:
    """A profiler for TensorRT that adds up each layer's time."""

    class Times(trt.IProfiler):  # type: ignore[misc]  # the module is known only now
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.total_ms: dict[str, float] = {}

        def report_layer_time(self, name: str, ms: float) -> None:
            self.total_ms[name] = self.total_ms.get(name, 0.0) + ms

    return Times()
