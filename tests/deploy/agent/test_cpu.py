"""The processor's facts on x86 and ARM, with several governors and limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent.cpu import count_ranges, cpu
from edgestill.deploy.agent.files import Files

WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]
CPU = "sys/devices/system/cpu"


def test_only_the_features_that_decide_on_kernels_are_listed(write_files: WriteFiles) -> None:
    root = write_files({"proc/cpuinfo": "flags : fpu vme avx2 avx512_vnni bugs\n"})

    assert cpu(Files(root))["features"] == ["avx2", "avx512_vnni"]


def test_an_arm_core_is_named_by_its_numbers(write_files: WriteFiles) -> None:
    root = write_files(
        {
            "proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimddp i8mm crc32\n"
            "CPU implementer : 0x41\nCPU part : 0xd42\n"
        }
    )

    facts = cpu(Files(root))

    assert facts["model"] == "implementer 0x41 part 0xd42"
    assert facts["features"] == ["asimd", "asimddp", "i8mm"]


def test_cores_with_several_governors_and_limits_give_all_and_the_widest(
    write_files: WriteFiles,
) -> None:
    root = write_files(
        {
            f"{CPU}/cpu0/cpufreq/scaling_governor": "schedutil\n",
            f"{CPU}/cpu0/cpufreq/scaling_min_freq": "300000\n",
            f"{CPU}/cpu0/cpufreq/scaling_max_freq": "1500000\n",
            f"{CPU}/cpu10/cpufreq/scaling_governor": "performance\n",
            f"{CPU}/cpu10/cpufreq/scaling_min_freq": "500000\n",
            f"{CPU}/cpu10/cpufreq/scaling_max_freq": "2200000\n",
        }
    )

    facts = cpu(Files(root))

    assert facts["governor"] == "performance, schedutil"
    assert (facts["min_mhz"], facts["max_mhz"]) == (300, 2200)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"sys/fs/cgroup/cpu.max": "150000 0\n"}, None),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ({}, None),
    ],
)
def test_a_quota_is_given_in_cores(
    write_files: WriteFiles, files: dict[str, str], cores: float | None
) -> None:
    root = write_files(files)

    assert cpu(Files(root))["quota_cores"] == cores


@pytest.mark.parametrize(("text", "count"), [("0", 1), ("0-3", 4), ("0,2-3", 3), ("", None)])
def test_kernel_lists_are_counted(text: str, count: int | None) -> None:
    assert count_ranges(text) == count
