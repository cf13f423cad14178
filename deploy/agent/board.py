"""What this machine is and how it is set, read from below a root folder; None where it cannot tell.

Two boards with one fingerprint have the same hardware and clock settings, so their latencies may be
compared; software, load and temperature are recorded beside it and are not part of it. What has no
file (machine name, Python, CPU affinity, engines) is that of this process.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
from pathlib import Path
from typing import Any

from . import thermal
from .clocks import clocks, frequency_mhz
from .cpu import cpu
from .energy import COUNTERS, Meter, find_meter
from .engine_onnxruntime import installed as onnxruntime_installed
from .errors import Unmeasurable
from .files import Files
from .jetson import is_jetson, jetson
from .power_mode import power_mode, power_modes, tpc_mask
from .programs import Programs
from .software import DRIVER, engines, packages, software
from .surroundings import container, virtual_machine


def board(
    root: Path = Path("/"), machine: str | None = None, programs: Programs | None = None
) -> dict[str, Any]:
    """The facts, their fingerprint, and under `unread` what could not be read and why."""
    files = Files(root)
    programs = programs or Programs(root)
    memory = _memory(files)
    now = _conditions(files, programs)
    installed = packages(files)
    versions = software(files, programs, installed)
    mask = tpc_mask(files, now["power_mode"])
    hardware: dict[str, Any] = {
        "machine": machine or platform.machine(),
        "device": _device(files),
        "jetson": jetson(files, installed, memory["total_bytes"], mask),
        "cpu": cpu(files),
    }
    return {
        "fingerprint": fingerprint(hardware, memory["total_bytes"], now),
        **hardware,
        "memory": memory,
        "os": _os_name(files),
        "kernel": files.text("proc/sys/kernel/osrelease"),
        "python": platform.python_version(),
        "software": versions,
        "engines": engines(files, _onnxruntime(files), versions),
        "power_modes": power_modes(files),
        "energy": _energy(root, programs),
        "conditions": now,
        "container": container(files),
        "virtual_machine": virtual_machine(files),
        "unread": files.unread,
    }


def conditions(root: Path = Path("/"), programs: Programs | None = None) -> dict[str, Any]:
    """What changes from minute to minute: load, temperatures and what is done against them, power
    mode, clocks, over-current events. Taken before and after a measurement."""
    return _conditions(Files(root), programs or Programs(root))


def fingerprint(hardware: dict[str, Any], memory_bytes: int | None, now: dict[str, Any]) -> str:
    """16 hexadecimal digits that stand for the hardware and its clock settings; `now`: conditions,
    of which what moves by itself is left out."""
    jetson, gpu = hardware["jetson"], now["gpu"]
    settings: dict[str, Any] = {
        **hardware,
        # The part of the memory that the kernel keeps differs by a few MB from boot to boot.
        "memory_gib": None if memory_bytes is None else round(memory_bytes / 2**30),
        "jetson": jetson and {name: jetson[name] for name in ("module", "part", "super", "soc")},
        "sm_count": jetson and jetson["sm_count"],
        "power_mode": now["power_mode"],
        # The memory's limits are for root to read; the power mode stands for them.
        "clocks": [
            [clock["name"], clock["min_mhz"], clock["max_mhz"]]
            for clock in now["clocks"]
            if clock["name"] != "emc"
        ],
        "gpu": gpu and [gpu["name"], gpu["power_limit_mw"]],
    }
    canonical = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _conditions(files: Files, programs: Programs) -> dict[str, Any]:
    load = re.match(r"^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+) ", files.text("proc/loadavg") or "")
    found = clocks(files)
    cores = [clock for clock in found if clock["name"].startswith("cpu")]
    return {
        "load_average": [float(number) for number in load.groups()] if load else None,
        "frequency_mhz": frequency_mhz(files, cores),
        "thermal": thermal.zones(files),
        "cooling": thermal.cooling(files),
        "fan": thermal.fan(files),
        "power_mode": power_mode(files, programs),
        "clocks": found,
        "throttle": thermal.throttle(files),
        "gpu": _gpu(files),
    }


def _gpu(files: Files) -> dict[str, Any] | None:
    """A desktop NVIDIA GPU. Never asked on a Jetson: NVML is there, and knows nothing of it."""
    if is_jetson(files):
        return None
    from .nvml import gpu_facts  # loads ctypes

    facts = gpu_facts(files.root)
    if facts is None and files.exists(DRIVER):
        files.unread["gpu"] = "there is a driver, but its management library, NVML, does not answer"
    return facts


def _device(files: Files) -> str | None:
    for name in ("proc/device-tree/model", "sys/class/dmi/id/product_name"):
        if files.exists(name):
            return files.text(name)
    files.unread["/proc/device-tree/model"] = "absent, and so is /sys/class/dmi/id/product_name"
    return None


def _memory(files: Files) -> dict[str, int | None]:
    text = files.text("proc/meminfo") or ""
    sizes = {name: int(kib) * 1024 for name, kib in re.findall(r"(?m)^(\w+): +(\d+) kB$", text)}
    return {"total_bytes": sizes.get("MemTotal"), "available_bytes": sizes.get("MemAvailable")}


def _os_name(files: Files) -> str | None:
    name = "etc/os-release" if files.exists("etc/os-release") else "usr/lib/os-release"
    match = re.search(r'(?m)^PRETTY_NAME="?([^"\n]*)"?$', files.text(name) or "")
    return match.group(1) if match else None


def _onnxruntime(files: Files) -> dict[str, Any] | None:
    try:
        return onnxruntime_installed()
    except ImportError as error:
        files.unread["onnxruntime"] = f"{error}, for {sys.executable}"
        return None


def _energy(root: Path, programs: Programs) -> dict[str, Any]:
    """What counts the work of the CPU, and that of a GPU where it is another meter."""
    found: dict[str, Meter] = {}
    reasons = []
    for worker in COUNTERS:
        try:
            meter = find_meter(root, programs, workers={worker})
        except Unmeasurable as error:
            reasons.append(str(error))
            continue
        meter.close()
        found[meter.source] = meter
        if meter.rule is not None:
            break  # the board's own rails count all
    if not found:
        told = "; ".join(dict.fromkeys(part for why in reasons for part in why.split("; ")))
        return {"readable": False, "source": told, "rule": None, "rails": []}
    return {
        "readable": True,
        "source": "; ".join(found),
        "rule": next(iter(found.values())).rule,
        "rails": [rail for meter in found.values() for rail in meter.rails],
    }
