"""NVML's signatures, tried on a real shared library that stands in for NVIDIA's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent.errors import Unmeasurable
from edgestill.deploy.agent.files import Files
from edgestill.deploy.agent.nvml import Nvml, cuda_gpu, gpu_facts, is_tegra

from .fake_nvml import compiled

FakeBoard: TypeAlias = Callable[..., Path]
WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]


@pytest.fixture(scope="module", params=[(), ("-DEVENTS",)], ids=["before 535", "from 535 on"])
def library(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> str:
    """The stand-in, as drivers of both kinds bring it."""
    return compiled(tmp_path_factory.mktemp("nvml"), *request.param)


def test_the_facts_of_a_gpu_are_its_own(library: str) -> None:
    assert gpu_facts(Path("/"), library) == {
        "name": "Fake GPU",
        "clock_mhz": 1980.0,
        "memory_clock_mhz": 2619.0,
        "celsius": 41.0,
        "throttle_reasons": ["idle", "hw_thermal_slowdown"],
        "power_limit_mw": None,  # not supported by this one
    }


def test_what_it_does_not_support_is_told_in_its_own_words(library: str) -> None:
    nvml = Nvml(library)

    with pytest.raises(Unmeasurable, match="NVML: nvmlDeviceGetPowerManagementLimit: Not Supp"):
        nvml.power_limit_mw()

    nvml.close()


def test_a_driver_that_is_not_loaded_is_told_in_its_own_words(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVML", "no-driver")

    with pytest.raises(Unmeasurable, match="NVML: nvmlInit_v2: Driver Not Loaded"):
        Nvml(library)
    assert gpu_facts(Path("/"), library) is None


def test_a_gpu_that_is_not_there_is_told(library: str) -> None:
    nvml = Nvml(library)

    with pytest.raises(Unmeasurable, match="nvmlDeviceGetHandleByIndex_v2"):
        nvml.select(1)

    nvml.close()


def test_without_the_library_there_is_no_gpu() -> None:
    with pytest.raises(Unmeasurable, match=r"no libabsent\.so: no NVIDIA driver"):
        Nvml("libabsent.so")
    assert gpu_facts(Path("/"), "libabsent.so") is None


def test_of_several_gpus_the_one_that_cuda_uses_is_asked(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVML", "many")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")

    facts = gpu_facts(Path("/"), library)

    assert facts is not None
    assert facts["name"] == "Other GPU"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"CUDA_VISIBLE_DEVICES": "1"},  # the fastest first: its 1 need not be NVML's
        {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "GPU-8a6b"},
    ],
)
def test_which_of_several_gpus_cuda_uses_is_not_guessed(environment: dict[str, str]) -> None:
    assert cuda_gpu(1, environment) == 0

    with pytest.raises(Unmeasurable, match="set CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        cuda_gpu(2, environment)


def test_it_is_never_asked_on_a_jetson(library: str, fake_board: FakeBoard) -> None:
    root = fake_board("orin-nano-super")

    assert gpu_facts(root, library) is None
    assert is_tegra(Files(root))


@pytest.mark.parametrize(
    ("files", "tegra"),
    [
        ({"etc/nv_tegra_release": "# R36 (release), REVISION: 4.4\n"}, True),
        ({"proc/device-tree/compatible": "nvidia,p3767\0nvidia,tegra234\0"}, True),
        ({"proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0"}, False),
        ({"proc/cpuinfo": "processor : 0\n"}, False),
    ],
)
def test_a_tegra_is_known_by_its_release_or_its_device_tree(
    write_files: WriteFiles, files: dict[str, str], tegra: bool
) -> None:
    assert is_tegra(Files(write_files(files))) is tegra
