"""CUDA's runtime through ctypes: on a stand-in that is a real shared library, and on a real GPU."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from edgestill.deploy.agent import cudart
from edgestill.deploy.agent.cudart import (
    BLOCKING_EVENT,
    DEVICE_TO_HOST,
    HOST_TO_DEVICE,
    Cudart,
    open_cudart,
)
from edgestill.deploy.agent.errors import AgentError


def compiled(folder: Path, *flags: str) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc to compile the stand-in for CUDA's library")
    path = folder / "libcudart.so.12"
    source = Path(__file__).with_name("fake_cudart.c")
    subprocess.run([compiler, "-shared", "-fPIC", *flags, "-o", str(path), str(source)], check=True)
    return path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("cudart"))


@pytest.fixture
def cuda(library: Path) -> Cudart:
    return Cudart(str(library))


def alive(library: Path) -> int:
    count: int = ctypes.CDLL(str(library)).fakeAlive()
    return count


def there_and_back(cuda: Cudart, stream: int, content: bytes) -> bytes:
    """`content` by way of the device."""
    size = len(content)
    source, back = cuda.host_alloc(size), cuda.host_alloc(size)
    there = cuda.malloc(size)
    ctypes.memmove(source, content, size)
    cuda.copy_async(there, source, size, HOST_TO_DEVICE, stream)
    cuda.copy_async(back, there, size, DEVICE_TO_HOST, stream)
    cuda.synchronize(stream)
    found = ctypes.string_at(back, size)
    for address in (source, back):
        cuda.free_host(address)
    cuda.free(there)
    return found


def replayed(cuda: Cudart, stream: int) -> tuple[bytes, bytes]:
    """What arrives by a captured copy: before it is launched, and after."""
    source, back, there = cuda.host_alloc(4), cuda.host_alloc(4), cuda.malloc(4)
    ctypes.memmove(source, b"old!", 4)
    cuda.copy_async(there, source, 4, HOST_TO_DEVICE, stream)
    cuda.copy_async(back, there, 4, DEVICE_TO_HOST, stream)
    cuda.synchronize(stream)
    cuda.begin_capture(stream)
    cuda.copy_async(there, source, 4, HOST_TO_DEVICE, stream)
    cuda.copy_async(back, there, 4, DEVICE_TO_HOST, stream)
    graph = cuda.end_capture(stream)
    executable = cuda.instantiate(graph)
    ctypes.memmove(source, b"new!", 4)
    before = ctypes.string_at(back, 4)
    cuda.launch(executable, stream)
    cuda.synchronize(stream)
    after = ctypes.string_at(back, 4)
    cuda.destroy_executable(executable)
    cuda.destroy_graph(graph)
    for address in (source, back):
        cuda.free_host(address)
    cuda.free(there)
    return before, after


def test_what_is_copied_there_and_back_is_the_same_and_nothing_stays_behind(
    cuda: Cudart, library: Path
) -> None:
    stream = cuda.stream()

    assert there_and_back(cuda, stream, b"\x00\x01pixels") == b"\x00\x01pixels"

    cuda.destroy_stream(stream)
    assert alive(library) == 0


def test_the_device_is_told_by_its_attributes(cuda: Cudart) -> None:
    assert cuda.device_count() == 1
    assert cuda.sm_count() == 8
    assert cuda.compute_capability() == "8.7"
    assert cuda.version == 12060


def test_the_time_between_two_events_is_the_devices(cuda: Cudart, library: Path) -> None:
    stream, start, stop = cuda.stream(), cuda.event(), cuda.event(BLOCKING_EVENT)

    cuda.record(start, stream)
    kernel = ctypes.CDLL(str(library)).fakeKernel
    kernel(None, None, ctypes.c_size_t(0), ctypes.c_ulonglong(2_500_000), ctypes.c_void_p(stream))
    cuda.record(stop, stream)
    cuda.wait(stop)

    assert cuda.elapsed_ms(start, stop) == 2.5
    for event in (start, stop):
        cuda.destroy_event(event)
    cuda.destroy_stream(stream)
    assert alive(library) == 0


@pytest.mark.parametrize("flags", [(), ("-DCUDA_11_0",)])
def test_a_captured_copy_is_run_when_the_graph_is_launched(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    path = compiled(tmp_path, *flags)
    cuda = Cudart(str(path))
    stream = cuda.stream()

    assert replayed(cuda, stream) == (b"old!", b"new!")

    cuda.destroy_stream(stream)
    assert alive(path) == 0


def test_a_failure_is_told_in_cudas_words_with_the_function(
    cuda: Cudart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDART", "out-of-memory")

    with pytest.raises(AgentError, match=r"^cudaMalloc: out of memory \(2\)$") as failed:
        cuda.malloc(1)

    assert failed.value.kind == "device"


def test_a_failure_is_not_left_for_the_next_one_who_asks(
    cuda: Cudart, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDART", "out-of-memory")

    with pytest.raises(AgentError):
        cuda.malloc(1)

    assert ctypes.CDLL(str(library)).cudaPeekAtLastError() == 0


def test_a_handle_of_another_kind_is_refused_by_the_library(cuda: Cudart) -> None:
    """So no handle is cut to 32 bits on its way: that would not be recognised, either."""
    event = cuda.event()

    with pytest.raises(AgentError, match=r"cudaStreamSynchronize: invalid resource handle \(400\)"):
        cuda.synchronize(event)

    cuda.destroy_event(event)


def test_a_capture_that_fails_is_told(cuda: Cudart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDART", "no-capture")
    stream = cuda.stream()
    cuda.begin_capture(stream)

    with pytest.raises(AgentError, match=r"cudaStreamEndCapture: .*capturing \(900\)"):
        cuda.end_capture(stream)

    cuda.destroy_stream(stream)


def test_the_first_library_that_finds_a_device_is_taken(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cudart, "LIBRARIES", ("libcudart.so.absent", str(library)))

    assert open_cudart().path == str(library)


def test_where_no_library_finds_a_device_each_ones_reason_is_told(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDART", "no-device")
    monkeypatch.setattr(cudart, "LIBRARIES", (str(library),))
    monkeypatch.setattr(cudart, "_of_wheels", list)

    with pytest.raises(AgentError, match=r"no CUDA device: .*: no CUDA-capable device .*\(100\)"):
        open_cudart()


def test_a_machine_without_the_library_is_told_what_was_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cudart, "LIBRARIES", ("libcudart.so.absent",))
    monkeypatch.setattr(cudart, "_of_wheels", list)

    with pytest.raises(AgentError, match=r"looked for libcudart\.so\.absent") as refused:
        open_cudart()

    assert refused.value.kind == "missing"


def test_a_library_that_is_another_one_is_told() -> None:
    with pytest.raises(AgentError, match="has no cudaGetErrorString"):
        Cudart("libc.so.6")


def installed() -> Cudart:
    """NVIDIA's own library, as pip or CUDA brings it; it loads without a GPU."""
    for path in [*cudart.LIBRARIES, *cudart._of_wheels()]:
        try:
            return Cudart(path)
        except OSError:
            continue
    pytest.skip("no CUDA runtime library is installed")


def test_every_function_that_is_called_is_in_nvidias_library() -> None:
    found = installed()  # raises for a name that it does not have

    assert found.version >= 11000
    assert cudart.INSTANTIATE in found._functions or found.version < 11040


def test_a_failure_of_nvidias_library_is_told_in_its_words() -> None:
    found = installed()

    with pytest.raises(AgentError, match=r"^cudaMalloc: [A-Za-z ,-]+ \(\d+\)$"):
        found.malloc(1 << 60)  # no device has an exabyte, and most test machines have no device


def with_device() -> Cudart:
    try:
        return open_cudart()
    except AgentError as error:
        pytest.skip(str(error))


@pytest.mark.gpu
def test_a_real_gpu_copies_there_and_back() -> None:
    cuda = with_device()
    stream = cuda.stream()
    content = bytes(range(256)) * 4096

    assert there_and_back(cuda, stream, content) == content

    cuda.destroy_stream(stream)


@pytest.mark.gpu
def test_a_real_gpu_replays_a_captured_copy() -> None:
    cuda = with_device()
    stream = cuda.stream()

    assert replayed(cuda, stream) == (b"old!", b"new!")

    cuda.destroy_stream(stream)


@pytest.mark.gpu
def test_a_real_gpus_events_time_its_copies() -> None:
    cuda = with_device()
    size = 64 << 20
    stream, start, stop = cuda.stream(), cuda.event(), cuda.event(BLOCKING_EVENT)
    source, there = cuda.host_alloc(size), cuda.malloc(size)

    cuda.record(start, stream)
    cuda.copy_async(there, source, size, HOST_TO_DEVICE, stream)
    cuda.record(stop, stream)
    cuda.wait(stop)

    # 64 MiB over any bus there is: more than at 200 GB/s, less than at 0.5.
    assert 0.3 < cuda.elapsed_ms(start, stop) < 130
    cuda.free(there)
    cuda.free_host(source)
    for event in (start, stop):
        cuda.destroy_event(event)
    cuda.destroy_stream(stream)


@pytest.mark.gpu
def test_a_real_gpu_has_no_room_for_an_exabyte_and_forgets_that_it_was_asked() -> None:
    cuda = with_device()

    with pytest.raises(AgentError, match=r"cudaMalloc: .*memory.* \(2\)"):
        cuda.malloc(1 << 60)

    assert ctypes.CDLL(cuda.path).cudaPeekAtLastError() == 0


@pytest.mark.gpu
def test_a_real_gpu_tells_its_sms_and_its_compute_capability() -> None:
    cuda = with_device()

    assert 1 <= cuda.sm_count() <= 1024
    assert float(cuda.compute_capability()) >= 5.0
