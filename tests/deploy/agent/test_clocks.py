"""Clocks of every fake board, free and locked; nodes that are absent or root's leave a reason."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.agent.clocks import clocks, cpu_clocks, frequency_mhz, gpu_devfreq
from edgestill.deploy.agent.files import Files

from ..fake_board_programs import gpu_devfreq as where_the_gpu_is
from ..fake_boards import BOARDS

FakeBoards: TypeAlias = Callable[..., Path]
WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]
CPU = "sys/devices/system/cpu"


def by_name(root: Path) -> dict[str, dict[str, Any]]:
    return {clock["name"]: clock for clock in clocks(Files(root))}


@pytest.mark.parametrize("name", BOARDS)
def test_every_clock_of_every_board_has_its_limits(fake_board: FakeBoards, name: str) -> None:
    truth = BOARDS[name]

    found = by_name(fake_board(name))

    cores = [f"cpu{core}" for core in range(truth.current.cores)]
    assert list(found) == [*cores, "gpu", "emc"]
    assert (found["gpu"]["min_mhz"], found["gpu"]["max_mhz"]) == (
        truth.gpu_min_hz / 1e6,
        truth.current.gpu_hz / 1e6,
    )
    assert found["cpu0"]["max_mhz"] == truth.current.cpu_khz / 1e3
    assert found["emc"]["max_mhz"] == truth.current.emc_hz / 1e6
    assert found["emc"]["current_mhz"] == 204
    assert [clock["locked"] for clock in found.values()] == [False] * len(found)


@pytest.mark.parametrize("name", BOARDS)
def test_jetson_clocks_locks_every_clock(fake_board: FakeBoards, name: str) -> None:
    root = fake_board(name)

    subprocess.run([root / "usr/bin/jetson_clocks"], check=True)

    found = by_name(root)
    assert [clock["locked"] for clock in found.values()] == [True] * len(found)
    assert found["gpu"]["current_mhz"] == BOARDS[name].current.gpu_hz / 1e6


@pytest.mark.parametrize("name", BOARDS)
def test_the_gpu_is_found_without_the_class_folder(fake_board: FakeBoards, name: str) -> None:
    root = fake_board(name)
    shutil.rmtree(root / "sys/class/devfreq")

    assert gpu_devfreq(Files(root)) == where_the_gpu_is(BOARDS[name])


def test_other_engines_are_not_taken_for_the_gpu(fake_board: FakeBoards) -> None:
    root = fake_board("agx-thor")
    for other in ("15340000.vic", "15880000.nvdla0", "gpu-nvd-0", "15480000.nvdec"):
        (root / "sys/class/devfreq" / other).mkdir()

    folder = gpu_devfreq(Files(root))

    assert folder == "sys/class/devfreq/gpu-gpc-0"


def test_a_memory_clock_of_roots_alone_leaves_its_cap_and_the_reason(
    fake_board: FakeBoards,
) -> None:
    root = fake_board("agx-orin")
    emc = root / "sys/kernel/debug/bpmp/debug/clk/emc"
    for node in ("rate", "min_rate", "max_rate", "mrq_rate_locked"):
        (emc / node).unlink()
        (emc / node).mkdir()  # unreadable for root, too
    files = Files(root)

    found = {clock["name"]: clock for clock in clocks(files)}

    assert found["emc"] == {
        "name": "emc",
        "current_mhz": None,
        "min_mhz": None,
        "max_mhz": 3199,
        "locked": None,
    }
    assert files.unread["/sys/kernel/debug/bpmp/debug/clk/emc/rate"] == "Is a directory"


def test_a_jetson_without_clocks_says_what_it_lacks(fake_board: FakeBoards) -> None:
    root = fake_board("orin-nano")
    for folder in ("sys/class/devfreq", "sys/devices/platform/17000000.gpu", "sys/kernel"):
        shutil.rmtree(root / folder)
    shutil.rmtree(root / CPU)
    files = Files(root)

    assert clocks(files) == []
    assert files.unread["clocks.gpu"] == "no GPU among /sys/class/devfreq"
    assert "/sys/kernel/debug/bpmp/debug/clk/emc/rate" in files.unread


def test_one_limit_that_cannot_be_read_leaves_the_rest(fake_board: FakeBoards) -> None:
    root = fake_board("orin-nano")
    node = root / where_the_gpu_is(BOARDS["orin-nano"]) / "max_freq"
    node.write_text("garbage\n")

    gpu = by_name(root)["gpu"]

    assert (gpu["min_mhz"], gpu["max_mhz"], gpu["locked"]) == (306, None, None)


def test_cores_that_are_offline_have_no_clock(write_files: WriteFiles) -> None:
    files = {f"{CPU}/cpu{core}/cpufreq/scaling_cur_freq": "1000000\n" for core in (0, 1, 2, 10)}
    root = write_files({**files, f"{CPU}/online": "0,2-3,10\n"})

    cores = cpu_clocks(Files(root))

    assert [core["name"] for core in cores] == ["cpu0", "cpu2", "cpu10"]
    assert cores[0]["locked"] is None


def test_the_mean_clock_is_that_of_the_cores_online(write_files: WriteFiles) -> None:
    nodes = {0: "1000000\n", 1: "2000000\n", 2: "9000000\n"}
    files = {f"{CPU}/cpu{core}/cpufreq/scaling_cur_freq": khz for core, khz in nodes.items()}
    tree = Files(write_files({**files, f"{CPU}/online": "0-1\n"}))

    assert frequency_mhz(tree, cpu_clocks(tree)) == 1500


def test_without_a_frequency_driver_the_clock_is_that_of_cpuinfo(write_files: WriteFiles) -> None:
    root = write_files({"proc/cpuinfo": "cpu MHz\t\t: 2000.500\ncpu MHz\t\t: 3000.500\n"})

    assert frequency_mhz(Files(root), []) == 2500.5
