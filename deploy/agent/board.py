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

from .cpu import cpu, cpu_flags, cpuinfo, frequency_mhz
from .energy import find_meter
from .engine_onnxruntime import installed as onnxruntime_installed
from .errors import Unmeasurable
from .files import Files


def board(root: Path = Path("/"), machine: str | None = None) -> dict[str, Any]:
    """The facts, their fingerprint, and under `unread` what could not be read and why."""
    files = Files(root)
    flags = cpu_flags(cpuinfo(files))
    hardware: dict[str, Any] = {
        "machine": machine or platform.machine(),
        "device": _device(files),
        "cpu": cpu(files),
    }
    memory = _memory(files)
    return {
        "fingerprint": fingerprint(hardware, memory["total_bytes"]),
        **hardware,
        "memory": memory,
        "os": _os_name(files),
        "kernel": files.text("proc/sys/kernel/osrelease"),
        "python": platform.python_version(),
        "engines": _engines(files),
        "energy": _energy(root),
        "conditions": _conditions(files),
        "container": _container(files),
        "virtual_machine": None if flags is None else "hypervisor" in flags,
        "unread": files.unread,
    }


def conditions(root: Path = Path("/")) -> dict[str, Any]:
    """What changes from minute to minute: load average, clock, temperatures."""
    return _conditions(Files(root))


def fingerprint(hardware: dict[str, Any], memory_bytes: int | None) -> str:
    """16 hexadecimal digits that stand for the hardware and its clock settings."""
    # The part of the memory that the kernel keeps differs by a few MB from boot to boot.
    gib = None if memory_bytes is None else round(memory_bytes / 2**30)
    canonical = json.dumps({**hardware, "memory_gib": gib}, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _conditions(files: Files) -> dict[str, Any]:
    load = re.match(r"^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+) ", files.text("proc/loadavg") or "")
    thermal = []
    for zone in files.folders("sys/class/thermal/thermal_zone*"):
        millicelsius = files.number(zone + "/temp")
        if millicelsius is not None:
            name = files.text(zone + "/type") or zone.rpartition("/")[2]
            thermal.append({"name": name, "celsius": millicelsius / 1000})
    return {
        "load_average": [float(number) for number in load.groups()] if load else None,
        "frequency_mhz": frequency_mhz(files),
        "thermal": thermal,
    }


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


def _container(files: Files) -> str | None:
    if files.exists("run/.containerenv"):
        return "podman"
    if files.exists(".dockerenv"):
        return "docker"
    groups = files.text("proc/1/cgroup") or ""
    return next((k for k in ("docker", "kubepods", "containerd", "lxc") if k in groups), None)


def _engines(files: Files) -> dict[str, Any]:
    try:
        return {"onnxruntime": onnxruntime_installed()}
    except ImportError as error:
        files.unread["onnxruntime"] = f"{error}, for {sys.executable}"
        return {"onnxruntime": None}


def _energy(root: Path) -> dict[str, Any]:
    try:
        return {"readable": True, "source": find_meter(root).source}
    except Unmeasurable as error:
        return {"readable": False, "source": str(error)}
