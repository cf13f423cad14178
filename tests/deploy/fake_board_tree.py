"""Writes a fake board as a tree of files below a root folder, with the links that sysfs has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from .fake_board import FakeBoard, Mode, Monitor
from .fake_board_programs import CPU, EMC_CAP, emc_nodes, gpu_devfreq, programs

Sudo = Literal["grants", "refuses", "absent"]
RAILS_BUS = "sys/devices/platform/i2c"


def write(board: FakeBoard, root: Path, *, sudo: Sudo = "grants", first_hwmon: int = 0) -> Path:
    """Writes `board` below `root`, and gives the root; hwmon numbers start at `first_hwmon`."""
    tree = _Tree(root, first_hwmon)
    _identity(board, tree)
    _software(board, tree)
    _clocks(board, tree)
    _sensors(board, tree)
    for monitor in board.monitors:
        (_iio if monitor.kind == "iio" else _hwmon)(monitor, tree)
    for name, text in programs(board, sudo).items():
        tree.put(name, text)
        (root / name).chmod(0o755)
    tree.put("var/lib/fake/tegrastats", board.tegrastats + "\n")
    tree.put("var/log/board-calls", "")
    return root


class _Tree:
    def __init__(self, root: Path, first_hwmon: int) -> None:
        self.root = root
        self.next_hwmon = first_hwmon
        self.next_iio = 0

    def put(self, name: str, value: str | int) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else f"{value}\n")

    def link(self, name: str, target: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(self.root / target, path.parent))

    def unreadable(self, name: str) -> None:
        """A folder where the file should be: reading it fails, for root as well."""
        (self.root / name).mkdir(parents=True)

    def hwmon(self, device: str, files: dict[str, str | int]) -> None:
        folder = f"{device}/hwmon/hwmon{self.next_hwmon}"
        for name, value in files.items():
            self.put(f"{folder}/{name}", value)
        self.link(f"sys/class/hwmon/hwmon{self.next_hwmon}", folder)
        self.next_hwmon += 1


def _identity(board: FakeBoard, tree: _Tree) -> None:
    base = "sys/firmware/devicetree/base"
    tree.put(f"{base}/model", board.model + "\0")
    tree.put(f"{base}/compatible", "".join(entry + "\0" for entry in board.compatible))
    tree.link("proc/device-tree", base)
    tree.put("etc/nv_tegra_release", board.release + "\n")
    tree.put("proc/meminfo", f"MemTotal:     {board.memory_kib} kB\nMemAvailable: 2000000 kB\n")
    tree.put("proc/loadavg", "0.10 0.05 0.01 1/400 4242\n")
    tree.put("proc/cpuinfo", "processor : 0\nFeatures : fp asimd\nCPU implementer : 0x41\n")
    tree.put("proc/sys/kernel/osrelease", "5.15.148-tegra\n")
    tree.put("etc/os-release", 'PRETTY_NAME="Ubuntu"\n')


def _software(board: FakeBoard, tree: _Tree) -> None:
    major = board.tensorrt.partition(".")[0]
    packages = {
        "nvidia-l4t-core": f"{board.l4t}-20250616085344",
        f"libnvinfer{major}": f"{board.tensorrt}-1+cuda{board.cuda}",
        **board.packages,
    }
    entries = [
        f"Package: {name}\nStatus: install ok installed\nArchitecture: arm64\nVersion: {version}\n"
        for name, version in packages.items()
    ]
    tree.put("var/lib/dpkg/status", "\n".join(entries))
    if board.cuda == "10.2":  # version.json came with CUDA 11
        tree.put("usr/local/cuda/version.txt", f"CUDA Version {board.cuda}.300\n")
    else:
        text = f'{{"cuda": {{"name": "CUDA SDK", "version": "{board.cuda}.1"}}}}\n'
        tree.put("usr/local/cuda/version.json", text)
    python = "usr/lib/python3.10/dist-packages/tensorrt"
    tree.put(f"{python}/__init__.py", f'__version__ = "{board.tensorrt}"\n')


def _clocks(board: FakeBoard, tree: _Tree) -> None:
    mode = board.current
    tree.put(f"{CPU}/online", f"0-{mode.cores - 1}\n")
    for core in range(board.cores):
        folder = f"{CPU}/cpu{core}/cpufreq"
        tree.put(f"{folder}/scaling_governor", "schedutil\n")
        tree.put(f"{folder}/scaling_min_freq", board.cpu_min_khz)
        tree.put(f"{folder}/scaling_max_freq", mode.cpu_khz)
        tree.put(f"{folder}/scaling_cur_freq", board.cpu_min_khz)
    gpu = gpu_devfreq(board)
    tree.put(f"{gpu}/min_freq", board.gpu_min_hz)
    tree.put(f"{gpu}/max_freq", mode.gpu_hz)
    tree.put(f"{gpu}/cur_freq", board.gpu_min_hz)
    tree.put(f"{gpu}/governor", "nvhost_podgov\n")
    tree.put(f"{board.gpu_device}/load", 0)
    tree.link(f"sys/class/devfreq/{gpu.rpartition('/')[2]}", gpu)
    emc = emc_nodes(board)
    fastest = max(each.emc_hz for each in board.modes)
    tree.put(emc["rate"], 204_000_000)
    tree.put(emc["min"], 204_000_000)
    tree.put(emc["max"], fastest)
    tree.put(emc["override"], 0)
    tree.put(EMC_CAP, mode.emc_hz)
    tree.put("etc/nvpmodel/nvpmodel_board.conf", _nvpmodel_conf(board, gpu))
    tree.link("etc/nvpmodel.conf", "etc/nvpmodel/nvpmodel_board.conf")
    tree.put("var/lib/nvpmodel/status", f"pmode:{mode.id:04d}\n")


def _nvpmodel_conf(board: FakeBoard, gpu: str) -> str:
    head = (
        "# modes of a fake board\n"
        f"< PARAM TYPE=CLOCK NAME=GPU >\nMAX_FREQ /{gpu}/max_freq\n"
        f"< PARAM TYPE=CLOCK NAME=EMC >\nMAX_FREQ /{EMC_CAP}\n"
        "# < POWER_MODEL ID=9 NAME=NOT_A_MODE >\n"
    )
    return head + "".join(map(_mode_entry, board.modes)) + f"< PM_CONFIG DEFAULT={board.mode} >\n"


def _mode_entry(mode: Mode) -> str:
    gate = "" if mode.tpc_mask is None else f"TPC_POWER_GATING TPC_PG_MASK {mode.tpc_mask}\n"
    return (
        f"< POWER_MODEL ID={mode.id} NAME={mode.name} >\n{gate}"
        f"CPU_A78_0 MAX_FREQ {mode.cpu_khz}\nGPU MAX_FREQ {mode.gpu_hz}\n"
        f"EMC MAX_FREQ {mode.emc_hz}\n\n"
    )


def _sensors(board: FakeBoard, tree: _Tree) -> None:
    for number, (name, millicelsius) in enumerate(board.zones.items()):
        folder = f"sys/class/thermal/thermal_zone{number}"
        tree.put(f"{folder}/type", name + "\n")
        if millicelsius is None:
            tree.unreadable(f"{folder}/temp")
        else:
            tree.put(f"{folder}/temp", millicelsius)
    for number, (name, highest) in enumerate((("pwm-fan", 10), ("cpu-throttle-alert", 1))):
        folder = f"sys/class/thermal/cooling_device{number}"
        tree.put(f"{folder}/type", name + "\n")
        tree.put(f"{folder}/cur_state", 0)
        tree.put(f"{folder}/max_state", highest)
    if board.l4t.startswith("32."):
        tree.put("sys/devices/pwm-fan/cur_pwm", 80)
        tree.put("sys/devices/pwm-fan/target_pwm", 80)
        tacho, name = "sys/devices/generic_pwm_tachometer", "generic_pwm_tachometer\n"
    else:
        tree.hwmon("sys/devices/platform/pwm-fan", {"name": "pwmfan\n", "pwm1": 80})
        tacho, name = "sys/devices/platform/39c0000.tachometer", "pwm_tach\n"
    tree.hwmon(tacho, {"name": name, "rpm": 2100})
    if board.oc_events:
        counters: dict[str, str | int] = {"name": "soctherm_oc\n"}
        for number, events in enumerate(board.oc_events, 1):
            counters[f"oc{number}_event_cnt"] = events
            counters[f"oc{number}_throt_en"] = 1
        tree.hwmon("sys/devices/platform/soctherm-oc-event", counters)


def _iio(monitor: Monitor, tree: _Tree) -> None:
    device = f"{RAILS_BUS}/{monitor.address}"
    folder = f"{device}/iio:device{tree.next_iio}"
    tree.put(f"{device}/name", "ina3221x\n")
    tree.put(f"{folder}/name", "ina3221x\n")
    tree.put(f"{folder}/polling_delay_0", "0 ms\n")
    for index, rail in enumerate(monitor.rails):
        if rail.label is not None:
            tree.put(f"{folder}/rail_name_{index}", rail.label + "\n")
        tree.put(f"{folder}/in_voltage{index}_input", rail.mv)
        tree.put(f"{folder}/in_current{index}_input", rail.ma)
        tree.put(f"{folder}/in_power{index}_input", int(rail.mw))
        tree.put(f"{folder}/warn_current_limit_{index}", 32760)
        tree.put(f"{folder}/crit_current_limit_{index}", 32760)
    tree.link(f"sys/bus/i2c/drivers/ina3221x/{monitor.address}", device)
    tree.link(f"sys/bus/i2c/devices/{monitor.address}", device)
    tree.link(f"sys/bus/iio/devices/iio:device{tree.next_iio}", folder)
    tree.next_iio += 1


def _hwmon(monitor: Monitor, tree: _Tree) -> None:
    device = f"{RAILS_BUS}/{monitor.address}"
    driver = "ina238" if monitor.kind == "ina238" else "ina3221"
    tree.put(f"{device}/name", driver + "\n")
    tree.hwmon(device, (_ina238 if monitor.kind == "ina238" else _ina3221)(monitor))
    tree.link(f"sys/bus/i2c/drivers/{driver}/{monitor.address}", device)
    tree.link(f"sys/bus/i2c/devices/{monitor.address}", device)


def _ina238(monitor: Monitor) -> dict[str, str | int]:
    """The driver gives its one channel no label: VIN is the name that tegrastats prints."""
    (rail,) = monitor.rails
    return {
        "name": "ina238\n",
        "in0_input": rail.ma * monitor.shunt_uohm // 1_000_000,  # over the shunt, millivolts
        "in1_input": rail.mv,
        "curr1_input": rail.ma,
        "power1_input": rail.mv * rail.ma,  # microwatts
        "temp1_input": 40_000,
    }


def _ina3221(monitor: Monitor) -> dict[str, str | int]:
    microvolts = [rail.ma * monitor.shunt_uohm // 1000 for rail in monitor.rails]
    files: dict[str, str | int] = {
        "name": "ina3221\n",
        "update_interval": 2,
        "samples": 4,
        "in7_label": "sum of shunt voltages\n",
        "in7_input": sum(microvolts),
        "curr4_input": sum(rail.ma for rail in monitor.rails),
    }
    for number, rail in enumerate(monitor.rails, 1):
        if rail.label is not None:
            files[f"in{number}_label"] = rail.label + "\n"
        files |= {
            f"in{number}_input": rail.mv,
            f"in{number}_enable": 1,
            f"curr{number}_input": rail.ma,
            f"curr{number}_max": 32760,
            f"curr{number}_crit": 32760,
            f"curr{number}_max_alarm": 0,
            f"curr{number}_crit_alarm": 0,
            f"shunt{number}_resistor": monitor.shunt_uohm,
            f"in{number + 3}_input": microvolts[number - 1],
        }
    return files
