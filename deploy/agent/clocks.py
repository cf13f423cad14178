"""The clocks of CPU cores, GPU and memory: now, their limits, and whether they are locked.

A clock is locked where its lowest and highest setting are the same, so that nothing can move it;
the memory's has a switch for it. jetson_clocks does both.
"""

from __future__ import annotations

import re
from typing import Any

from .files import Files
from .jetson import is_jetson

CPU = "sys/devices/system/cpu"
# By the name of their folder: 57000000.gpu, 17000000.gp10b, gv11b, ga10b, gpu-gpc-0 (Thor)
GPU_DEVFREQ = re.compile(r"(?:^|[.])(?:gpu|gp10b|gv11b|ga10b|gpu-gpc-0)$")
GPU_FOLDERS = (
    "sys/class/devfreq/*",
    "sys/devices/gpu.0/devfreq/*",
    "sys/devices/platform/*gpu*/devfreq/*",
    "sys/devices/platform/*.g*10b/devfreq/*",
    "sys/devices/platform/*.gv11b/devfreq/*",
    "sys/devices/platform/bus@0/*gpu*/devfreq/*",
)
EMC = "sys/kernel/debug/bpmp/debug/clk/emc"
EMC_TEGRA210 = "sys/kernel/debug/clk/override.emc"
BANDWIDTH_MANAGER = "sys/kernel/debug/tegra_bwmgr"
EMC_CAP = "sys/kernel/nvpmodel_clk_cap/emc"


def clocks(files: Files) -> list[dict[str, Any]]:
    """One entry per clock, in MHz: cpu0 and so on, gpu, emc; what this machine does not show is
    left out, a part of it None."""
    memory = _emc(files) if is_jetson(files) else None
    found = [*cpu_clocks(files), _gpu(files), memory]
    return [clock for clock in found if clock is not None]


def cpu_clocks(files: Files) -> list[dict[str, Any]]:
    """The clock of each core that has a frequency driver, those that are offline left out."""
    listed = files.exists(CPU + "/online")
    online = _numbers_in(files.text(CPU + "/online")) if listed else set()
    found = []
    for folder in files.folders(CPU + "/cpu[0-9]*/cpufreq"):
        core = folder.split("/")[-2]
        if not listed or int(core[3:]) in online:
            limits = [f"{folder}/scaling_{which}_freq" for which in ("cur", "min", "max")]
            found.append(_clock(core, *(_mhz(files.number(name), 1e3) for name in limits)))
    return found


def frequency_mhz(files: Files, cores: list[dict[str, Any]]) -> float | None:
    """The mean clock of the cores now; `cores`: as `cpu_clocks` gives."""
    now = [core["current_mhz"] for core in cores if core["current_mhz"] is not None]
    if not now:  # x86 kernels without a frequency driver, as in virtual machines
        text = files.text("proc/cpuinfo") or ""
        now = [float(mhz) for mhz in re.findall(r"(?m)^cpu MHz\s*:\s*(\d+\.\d+)$", text)]
    return round(sum(now) / len(now), 1) if now else None


def gpu_devfreq(files: Files) -> str | None:
    """The folder of the GPU's clock; None if no GPU has one."""
    for pattern in GPU_FOLDERS:
        for folder in files.folders(pattern):
            if GPU_DEVFREQ.search(folder.rpartition("/")[2]):
                return folder
    return None


def _gpu(files: Files) -> dict[str, Any] | None:
    folder = gpu_devfreq(files)
    if folder is None:
        if is_jetson(files):
            files.unread["clocks.gpu"] = "no GPU among /sys/class/devfreq"
        return None
    names = [f"{folder}/{which}_freq" for which in ("cur", "min", "max")]
    return _clock("gpu", *(_mhz(files.number(name), 1e6) for name in names))


def _emc(files: Files) -> dict[str, Any] | None:
    """The memory's clock. All but the cap of the power mode is in debugfs, for root alone."""
    tegra210 = files.folders(EMC_TEGRA210) + files.folders(BANDWIDTH_MANAGER)
    if tegra210:
        now = files.number(EMC_TEGRA210 + "/clk_rate")
        lowest = files.number(BANDWIDTH_MANAGER + "/emc_min_rate")
        highest = files.number(BANDWIDTH_MANAGER + "/emc_max_rate")
        override = files.number(EMC_TEGRA210 + "/clk_state")
    else:
        now = files.number(EMC + "/rate")
        lowest = files.number(EMC + "/min_rate")
        highest = files.number(EMC + "/max_rate")
        override = files.number(EMC + "/mrq_rate_locked")
    caps = [highest, files.number(EMC_CAP) if files.exists(EMC_CAP) else None]
    limits = [cap for cap in caps if cap is not None and cap > 0]  # 0 and -1: no cap
    clock = _clock("emc", *(_mhz(hz, 1e6) for hz in (now, lowest, min(limits, default=None))))
    clock["locked"] = None if override is None else override != 0
    return None if set(clock.values()) == {"emc", None} else clock


def _clock(
    name: str, current: float | None, lowest: float | None, highest: float | None
) -> dict[str, Any]:
    known = lowest is not None and highest is not None
    return {
        "name": name,
        "current_mhz": current,
        "min_mhz": lowest,
        "max_mhz": highest,
        "locked": lowest == highest if known else None,
    }


def _mhz(value: int | None, per_mhz: float) -> float | None:
    return None if value is None or value < 0 else value / per_mhz


def _numbers_in(text: str | None) -> set[int]:
    """The numbers of a kernel list.

    >>> sorted(_numbers_in("0,3-5"))
    [0, 3, 4, 5]
    """
    numbers: set[int] = set()
    for first, last in re.findall(r"(\d{1,5})(?:-(\d{1,5}))?", text or ""):
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers
