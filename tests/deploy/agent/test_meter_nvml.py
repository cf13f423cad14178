"""The energy counter of a discrete GPU: a stand-in's, and a real one's where there is one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent.errors import Unmeasurable
from edgestill.deploy.agent.meter_nvml import NvmlEnergy
from edgestill.deploy.agent.nvml import LIBRARY, gpu_facts

from .fake_nvml import compiled

FakeBoard: TypeAlias = Callable[..., Path]
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The stand-in, compiled."""
    return compiled(tmp_path_factory.mktemp("nvml"))


def test_the_energy_of_a_window_is_what_the_counter_rose_by(library: str) -> None:
    meter = NvmlEnergy(library=library)
    start = time.perf_counter_ns()
    meter.begin(start)
    time.sleep(0.6)
    stop = time.perf_counter_ns()

    found = meter.end(stop)

    seconds = (stop - start) / 1e9
    assert found.used_mj == pytest.approx(50_000 * seconds, abs=found.bound_mj)
    assert found.bound_mj >= 0.199 * found.used_mj / seconds  # a step at either edge
    assert meter.source == "NVML energy counter of Fake GPU (the GPU only, not its host)"
    assert meter.trace(start) is None
    meter.close()


def test_what_is_used_until_the_window_is_asked_for_is_not_in_it(library: str) -> None:
    meter = NvmlEnergy(library=library)
    meter.start()
    start = time.perf_counter_ns()
    meter.begin(start)
    time.sleep(0.6)
    stop = time.perf_counter_ns()
    time.sleep(1.4)  # 70 J, as while a program's output is read

    found = meter.end(stop)

    assert found.used_mj == pytest.approx(50_000 * (stop - start) / 1e9, abs=found.bound_mj)
    meter.close()


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("no-driver", "NVML: nvmlInit_v2: Driver Not Loaded"),
        ("no-counter", "nvmlDeviceGetTotalEnergyConsumption: Not Supported"),
        ("many", "2 GPUs and not which one CUDA uses"),
    ],
)
def test_what_cannot_be_metered_is_no_meter_and_says_why(
    library: str, monkeypatch: pytest.MonkeyPatch, state: str, found: str
) -> None:
    monkeypatch.setenv("FAKE_NVML", state)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)

    with pytest.raises(Unmeasurable, match=found):
        NvmlEnergy(library=library)


def test_a_counter_that_stands_still_is_no_energy_of_nought(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVML", "still")
    clock = iter([0, 0, 0, 0, SECOND, SECOND])  # read before and after the counter
    meter = NvmlEnergy(library=library, clock_ns=lambda: next(clock))

    meter.begin(0)

    with pytest.raises(Unmeasurable, match=r"did not rise in 1\.00 s"):
        meter.end(SECOND)


def test_a_window_of_few_steps_is_refused(library: str) -> None:
    meter = NvmlEnergy(library=library)

    meter.begin(0)

    with pytest.raises(Unmeasurable, match=r"window of 0\.400 s; measure for at least 0\.5 s"):
        meter.end(4 * SECOND // 10)


def test_it_is_never_asked_on_a_jetson(library: str, fake_board: FakeBoard) -> None:
    with pytest.raises(Unmeasurable, match="not asked on a Jetson"):
        NvmlEnergy(fake_board("orin-nano-super"), library=library)


@pytest.mark.gpu
def test_a_real_gpu_uses_energy_while_it_works() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    meter = NvmlEnergy(library=LIBRARY)
    one = torch.randn(4096, 4096, device="cuda")
    start = time.perf_counter_ns()
    meter.begin(start)
    while time.perf_counter_ns() - start < 2 * SECOND:
        one @ one
        torch.cuda.synchronize()

    found = meter.end(time.perf_counter_ns())

    assert 10_000 < found.used_mj / 2 < 1_500_000  # between 10 W and 1.5 kW
    facts = gpu_facts(Path("/"))
    assert facts is not None
    assert facts["clock_mhz"] > 0
    meter.close()
