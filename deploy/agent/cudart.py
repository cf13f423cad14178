"""CUDA's runtime library through ctypes: memory, copies, streams, events, graphs; 11 to 13.

Functions and numbers: cuda_runtime_api.h and driver_types.h. Handles and addresses are plain ints.
A status other than 0 is an AgentError with the function's name and CUDA's own words.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from pathlib import Path
from typing import Any, Sequence

from .errors import AgentError

LIBRARIES = (
    "libcudart.so.13",
    "libcudart.so.12",
    "libcudart.so.11.0",  # the name that all of CUDA 11 has
    "/usr/local/cuda/lib64/libcudart.so",
)
HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2  # cudaMemcpyKind
SM_COUNT, COMPUTE_MAJOR, COMPUTE_MINOR = 16, 75, 76  # cudaDeviceAttr
NON_BLOCKING_STREAM = 1  # does not wait for the legacy default stream
BLOCKING_EVENT = 1  # whoever waits for it sleeps instead of spinning, which would cost power
RELAXED_CAPTURE = 2  # other threads, as TensorRT's, may go on calling CUDA
# name -> the types of its arguments; every one returns a status
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cudaRuntimeGetVersion": (POINTER(c_int),),
    "cudaGetDeviceCount": (POINTER(c_int),),
    "cudaDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cudaMalloc": (POINTER(c_void_p), c_size_t),
    "cudaFree": (c_void_p,),
    "cudaHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cudaFreeHost": (c_void_p,),
    "cudaMemcpyAsync": (c_void_p, c_void_p, c_size_t, c_int, c_void_p),
    "cudaStreamCreateWithFlags": (POINTER(c_void_p), c_uint),
    "cudaStreamSynchronize": (c_void_p,),
    "cudaStreamDestroy": (c_void_p,),
    "cudaEventCreateWithFlags": (POINTER(c_void_p), c_uint),
    "cudaEventRecord": (c_void_p, c_void_p),
    "cudaEventSynchronize": (c_void_p,),
    "cudaEventElapsedTime": (POINTER(c_float), c_void_p, c_void_p),
    "cudaEventDestroy": (c_void_p,),
    "cudaStreamBeginCapture": (c_void_p, c_int),
    "cudaStreamEndCapture": (c_void_p, POINTER(c_void_p)),
    "cudaGraphLaunch": (c_void_p, c_void_p),
    "cudaGraphExecDestroy": (c_void_p,),
    "cudaGraphDestroy": (c_void_p,),
}
# cudaGraphInstantiate takes (graph, node, text, size) up to 11 and (graph, flags) from 12 on, under
# one name. Since 11.4 the second form has a name of its own, which means the same everywhere.
INSTANTIATE = "cudaGraphInstantiateWithFlags"
INSTANTIATE_FORM = (POINTER(c_void_p), c_void_p, c_ulonglong)
OLD_INSTANTIATE_FORM = (POINTER(c_void_p), c_void_p, POINTER(c_void_p), c_char_p, c_size_t)


class Cudart:
    """The library, on the first CUDA device."""

    def __init__(self, path: str) -> None:
        """Load it. Raises OSError: it does not load; AgentError: it is another library."""
        self.path = path
        self._library = ctypes.CDLL(path)
        self._error_text = self._function("cudaGetErrorString", (c_int,), c_char_p)
        self._forget_error = self._function("cudaGetLastError", ())
        self._functions = {name: self._function(name, form) for name, form in FUNCTIONS.items()}
        self.version = self._number("cudaRuntimeGetVersion")
        if hasattr(self._library, INSTANTIATE):
            self._functions[INSTANTIATE] = self._function(INSTANTIATE, INSTANTIATE_FORM)
        else:
            old = self._function("cudaGraphInstantiate", OLD_INSTANTIATE_FORM)
            self._functions["cudaGraphInstantiate"] = old

    def device_count(self) -> int:
        """How many devices there are. Raises AgentError: none, or no driver that fits."""
        return self._number("cudaGetDeviceCount")

    def sm_count(self) -> int:
        """Multiprocessors that are switched on."""
        return self._number("cudaDeviceGetAttribute", SM_COUNT, 0)

    def compute_capability(self) -> str:
        """Such as 8.7."""
        major = self._number("cudaDeviceGetAttribute", COMPUTE_MAJOR, 0)
        return f"{major}.{self._number('cudaDeviceGetAttribute', COMPUTE_MINOR, 0)}"

    def malloc(self, size: int) -> int:
        """Address of `size` bytes on the device."""
        return self._handle("cudaMalloc", size)

    def free(self, address: int) -> None:
        """Gives back what malloc gave."""
        self._call("cudaFree", address)

    def host_alloc(self, size: int) -> int:
        """Address of `size` bytes of host memory that stays in place: copies need no detour."""
        return self._handle("cudaHostAlloc", size, 0)

    def free_host(self, address: int) -> None:
        """Gives back what host_alloc gave."""
        self._call("cudaFreeHost", address)

    def copy_async(self, to: int, source: int, size: int, kind: int, stream: int) -> None:
        """Queues a copy; kind: HOST_TO_DEVICE or DEVICE_TO_HOST."""
        self._call("cudaMemcpyAsync", to, source, size, kind, stream)

    def stream(self) -> int:
        """A new stream, independent of all others."""
        return self._handle("cudaStreamCreateWithFlags", NON_BLOCKING_STREAM)

    def synchronize(self, stream: int) -> None:
        """Returns when everything queued on the stream is done."""
        self._call("cudaStreamSynchronize", stream)

    def destroy_stream(self, stream: int) -> None:
        """Gives back what stream gave."""
        self._call("cudaStreamDestroy", stream)

    def event(self, flags: int = 0) -> int:
        """A new event; flags: 0 or BLOCKING_EVENT."""
        return self._handle("cudaEventCreateWithFlags", flags)

    def record(self, event: int, stream: int) -> None:
        """The event happens when everything queued on the stream so far is done."""
        self._call("cudaEventRecord", event, stream)

    def wait(self, event: int) -> None:
        """Returns when the event has happened."""
        self._call("cudaEventSynchronize", event)

    def elapsed_ms(self, start: int, stop: int) -> float:
        """Device time between two events that have happened; it is good to half a microsecond."""
        value = c_float()
        self._call("cudaEventElapsedTime", byref(value), start, stop)
        return value.value

    def destroy_event(self, event: int) -> None:
        """Gives back what event gave."""
        self._call("cudaEventDestroy", event)

    def begin_capture(self, stream: int) -> None:
        """From here on, what is queued on the stream is noted instead of run."""
        self._call("cudaStreamBeginCapture", stream, RELAXED_CAPTURE)

    def end_capture(self, stream: int) -> int:
        """What was noted, as a graph. Raises AgentError: something in it cannot be captured."""
        return self._handle("cudaStreamEndCapture", stream, handle_first=False)

    def instantiate(self, graph: int) -> int:
        """The graph made ready to be launched."""
        if INSTANTIATE in self._functions:
            return self._handle(INSTANTIATE, graph, 0)
        return self._handle("cudaGraphInstantiate", graph, None, None, 0)

    def launch(self, executable: int, stream: int) -> None:
        """Queues all that the graph holds, at once."""
        self._call("cudaGraphLaunch", executable, stream)

    def destroy_executable(self, executable: int) -> None:
        """Gives back what instantiate gave."""
        self._call("cudaGraphExecDestroy", executable)

    def destroy_graph(self, graph: int) -> None:
        """Gives back what end_capture gave."""
        self._call("cudaGraphDestroy", graph)

    def _function(self, name: str, arguments: Sequence[Any], result: Any = c_int) -> Any:
        try:
            function = getattr(self._library, name)
        except AttributeError:
            raise AgentError("device", f"{self.path} has no {name}") from None
        function.argtypes, function.restype = arguments, result
        return function

    def _call(self, name: str, *arguments: Any) -> None:
        status = self._functions[name](*arguments)
        if status:
            # CUDA keeps the last failure, and whoever asks next would take it for their own.
            self._forget_error()
            words = (self._error_text(status) or b"unknown error").decode("utf-8", "replace")
            raise AgentError("device", f"{name}: {words} ({status})")

    def _number(self, name: str, *arguments: Any) -> int:
        value = c_int()
        self._call(name, byref(value), *arguments)
        return value.value

    def _handle(self, name: str, *arguments: Any, handle_first: bool = True) -> int:
        value = c_void_p()
        place = (byref(value),)
        self._call(name, *(place + arguments if handle_first else arguments + place))
        return value.value or 0


def open_cudart() -> Cudart:
    """The first CUDA runtime here that finds a device.

    Raises:
        AgentError: there is none, or none finds a device; every one's reason is given.
    """
    refused = []
    for path in [*LIBRARIES, *_of_wheels()]:
        try:
            found = Cudart(path)
        except OSError:  # the common case: another version is installed
            continue
        try:
            if found.device_count():
                return found
            refused.append(f"{path} finds no device")
        except AgentError as error:
            # Such as a runtime too new for the driver: an older one beside it may do.
            refused.append(f"{path}: {error}")
    if refused:
        raise AgentError("device", f"no CUDA device: {'; '.join(refused)}")
    raise AgentError(
        "missing", f"no CUDA runtime library (looked for {', '.join(LIBRARIES)} and pip's wheels)"
    )


def _of_wheels() -> list[str]:
    """Where pip puts NVIDIA's runtime: nvidia/cuda_runtime/lib up to CUDA 12, nvidia/cu13/lib."""
    folders = [Path(folder) / "nvidia" for folder in sys.path if folder]
    return [str(path) for folder in folders for path in sorted(folder.glob("*/lib/libcudart.so.*"))]
