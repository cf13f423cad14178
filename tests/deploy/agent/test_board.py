"""Board facts read from folders that stand for machines; what is missing is None, with a reason."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.agent.board import board, conditions
from edgestill.deploy.wire_board import Board, Conditions

from ..fake_boards import BOARDS

FakeBoards: TypeAlias = Callable[..., Path]
WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]
CPU = "sys/devices/system/cpu"
DESKTOP = {
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: Example CPU 9\ncpu MHz\t\t: 800.000\n"
    "flags\t\t: fpu sse4_2 avx2 avx512_vnni\n\n"
    "processor\t: 1\nmodel name\t: Example CPU 9\ncpu MHz\t\t: 1200.000\n",
    "proc/meminfo": "MemTotal:       16384000 kB\nMemFree:  1 kB\nMemAvailable:    8192000 kB\n",
    "proc/loadavg": "0.50 0.25 0.10 1/200 4242\n",
    "proc/sys/kernel/osrelease": "6.1.0\n",
    "etc/os-release": 'NAME="Example"\nPRETTY_NAME="Example Linux 12"\n',
    "sys/class/dmi/id/product_name": "Desktop 5\n",
    "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp\n",
    "sys/class/thermal/thermal_zone0/temp": "47500\n",
    f"{CPU}/online": "0-1\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu0/cpufreq/scaling_min_freq": "800000\n",
    f"{CPU}/cpu0/cpufreq/scaling_max_freq": "4200000\n",
    f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "4000000\n",
}


def test_a_desktop_is_read_in_full(write_files: WriteFiles) -> None:
    facts = board(write_files(DESKTOP), machine="x86_64")

    assert facts["device"] == "Desktop 5"
    assert facts["memory"] == {"total_bytes": 16_777_216_000, "available_bytes": 8_388_608_000}
    assert (facts["os"], facts["kernel"]) == ("Example Linux 12", "6.1.0")
    assert facts["conditions"] == {
        "load_average": [0.5, 0.25, 0.1],
        "frequency_mhz": 4000.0,
        "thermal": [{"name": "x86_pkg_temp", "celsius": 47.5}],
        "cooling": [],
        "fan": None,
        "power_mode": None,
        "clocks": [
            {
                "name": "cpu0",
                "current_mhz": 4000,
                "min_mhz": 800,
                "max_mhz": 4200,
                "locked": False,
            }
        ],
        "throttle": {},
        "gpu": None,
    }
    assert (facts["container"], facts["virtual_machine"]) == (None, False)
    assert (facts["jetson"], facts["power_modes"]) == (None, [])
    assert set(facts["software"].values()) == {None}


def test_an_empty_machine_tells_nothing_and_says_why(tmp_path: Path) -> None:
    facts = board(tmp_path)

    for fact in ("device", "jetson", "os", "kernel", "container", "virtual_machine"):
        assert facts[fact] is None
    for fact in ("load_average", "frequency_mhz", "fan", "power_mode", "gpu"):
        assert facts["conditions"][fact] is None
    assert facts["conditions"]["thermal"] == facts["conditions"]["clocks"] == []
    assert facts["unread"]["/proc/meminfo"] == "No such file or directory"
    assert facts["energy"]["readable"] is False


def test_the_name_of_a_device_tree_loses_its_nul(write_files: WriteFiles) -> None:
    root = write_files({"proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0"})

    assert board(root)["device"] == "NVIDIA Jetson Orin Nano Developer Kit"


def test_a_sensor_that_is_off_is_left_out_with_its_reason(write_files: WriteFiles) -> None:
    root = write_files(DESKTOP | {"sys/class/thermal/thermal_zone1/type": "cv0-thermal\n"})

    facts = board(root)

    assert [zone["name"] for zone in facts["conditions"]["thermal"]] == ["x86_pkg_temp"]
    assert "/sys/class/thermal/thermal_zone1/temp" in facts["unread"]


def test_containers_and_virtual_machines_are_recognised(write_files: WriteFiles) -> None:
    root = write_files(
        {"run/.containerenv": "", "proc/cpuinfo": "flags : sse4_2 hypervisor\n"},
    )

    facts = board(root)

    assert facts["container"] == "podman"
    assert facts["virtual_machine"] is True


def test_a_driver_whose_library_is_silent_is_told(write_files: WriteFiles) -> None:
    line = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.10  Release Build\n"

    facts = board(write_files({**DESKTOP, "proc/driver/nvidia/version": line}))

    assert (facts["conditions"]["gpu"], facts["software"]["nvidia_driver"]) == (None, "570.86.10")
    assert "does not answer" in facts["unread"]["gpu"]


def test_the_fingerprint_ignores_load_and_temperature(write_files: WriteFiles) -> None:
    before = board(write_files(DESKTOP))["fingerprint"]

    busy = {
        "proc/loadavg": "9.00 9.00 9.00 1/200 4242\n",
        "sys/class/thermal/thermal_zone0/temp": "90000\n",
    }

    assert board(write_files(busy))["fingerprint"] == before


def test_the_fingerprint_changes_with_the_clock_settings(write_files: WriteFiles) -> None:
    before = board(write_files(DESKTOP))["fingerprint"]

    capped = {f"{CPU}/cpu0/cpufreq/scaling_max_freq": "2000000\n"}

    assert board(write_files(capped))["fingerprint"] != before


def test_nonsense_in_the_files_is_no_crash(write_files: WriteFiles) -> None:
    root = write_files(dict.fromkeys(DESKTOP, "\x00\x01 nonsense: : \n"))

    facts = board(root)

    assert facts["memory"] == {"total_bytes": None, "available_bytes": None}
    assert conditions(root)["load_average"] is None
    assert facts["unread"]["/sys/class/thermal/thermal_zone0/temp"].startswith("no number")


@pytest.mark.parametrize("name", BOARDS)
def test_the_host_takes_the_facts_of_every_board(fake_board: FakeBoards, name: str) -> None:
    root = fake_board(name)

    facts = board(root, machine="aarch64")

    Board.model_validate(facts)
    Conditions.model_validate(conditions(root))
    assert facts["device"] == BOARDS[name].model
    assert facts["cpu"]["cores_online"] == BOARDS[name].current.cores
    assert facts["engines"]["tensorrt"] == {"version": BOARDS[name].tensorrt}
    assert facts["energy"]["readable"] is True
    for rail in BOARDS[name].total:
        assert rail in facts["energy"]["rails"]
        assert rail in facts["energy"]["rule"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_of_unreadable_nodes_is_no_crash(fake_board: FakeBoards, name: str) -> None:
    root = fake_board(name)
    for path in [*root.glob("sys/**/*"), *root.glob("proc/**/*"), *root.glob("var/**/*")]:
        if path.is_file():
            path.unlink()
            path.mkdir()  # unreadable for root, too

    facts = board(root, machine="aarch64")

    Board.model_validate(facts)
    assert facts["jetson"]["module"] is None
    assert (facts["conditions"]["thermal"], facts["conditions"]["throttle"]) == ([], {})
    assert all(clock["locked"] is None for clock in facts["conditions"]["clocks"])
    assert facts["unread"]["/sys/class/thermal/thermal_zone0/temp"] == "Is a directory"


@pytest.mark.parametrize("name", BOARDS)
def test_the_numbers_of_hwmon_nodes_change_nothing(
    fake_board: FakeBoards, tmp_path: Path, name: str
) -> None:
    before = _without_paths(board(fake_board(name)))
    (tmp_path / name).rename(tmp_path / "earlier boot")

    after = _without_paths(board(fake_board(name, first_hwmon=9)))

    assert after == before


def test_the_fingerprint_is_the_same_again_while_clocks_and_heat_move(
    fake_board: FakeBoards,
) -> None:
    root = fake_board("agx-orin")
    before = board(root)["fingerprint"]

    for pattern in ("sys/**/cur_freq", "sys/**/scaling_cur_freq", "sys/**/temp", "sys/**/rate"):
        for node in root.glob(pattern):
            if node.is_file():
                node.write_text("123000\n")

    assert board(root)["fingerprint"] == before


@pytest.mark.parametrize(
    "arguments", [("usr/sbin/nvpmodel", "-m", "2"), ("usr/bin/jetson_clocks",)]
)
def test_the_fingerprint_changes_with_power_mode_and_lock(
    fake_board: FakeBoards, arguments: tuple[str, ...]
) -> None:
    root = fake_board("orin-nano-super")
    before = board(root)["fingerprint"]

    subprocess.run([root / arguments[0], *arguments[1:]], check=True)

    assert board(root)["fingerprint"] != before


def _without_paths(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name != "unread"}
