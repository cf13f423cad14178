"""Board facts read from folders that stand for machines; what is missing is None, with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from edgestill.deploy.agent.board import board, conditions

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
    }
    assert (facts["container"], facts["virtual_machine"]) == (None, False)


def test_an_empty_machine_tells_nothing_and_says_why(tmp_path: Path) -> None:
    facts = board(tmp_path)

    for fact in ("device", "os", "kernel", "container", "virtual_machine"):
        assert facts[fact] is None
    assert facts["conditions"] == {"load_average": None, "frequency_mhz": None, "thermal": []}
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
