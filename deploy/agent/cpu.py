"""The processor: its model, the features that decide on kernels, its cores and their limits."""

from __future__ import annotations

import os
import re
from typing import Any

from .files import Files

# Of the hundred flags of a CPU, those that decide which kernels a runtime picks.
FEATURES = (
    "sse4_1 sse4_2 avx avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx_vnni avx_vnni_int8"
    " avx512_bf16 avx512_fp16 amx_tile amx_int8 amx_bf16"
    " neon asimd asimdhp fphp asimddp i8mm bf16 sve sve2 sme"
)
CPU = "sys/devices/system/cpu"


def cpu(files: Files) -> dict[str, Any]:
    """Model, features, cores and clock limits; None where the machine does not tell."""
    info = cpuinfo(files)
    model = info.get("model name")
    if model is None and "cpu part" in info:  # ARM kernels give numbers and no name
        model = f"implementer {info.get('cpu implementer', '?')} part {info['cpu part']}"
    flags = cpu_flags(info)
    folders = files.folders(CPU + "/cpu[0-9]*/cpufreq")
    if not folders:
        files.unread["/" + CPU + "/cpu*/cpufreq"] = "absent: governor and clock limits are unknown"
    governors = {files.text(folder + "/scaling_governor") or "unknown" for folder in folders}
    slowest = files.numbers([folder + "/scaling_min_freq" for folder in folders])
    fastest = files.numbers([folder + "/scaling_max_freq" for folder in folders])
    return {
        "model": model,
        "features": None if flags is None else sorted(flags.intersection(FEATURES.split())),
        "cores_online": count_ranges(files.text(CPU + "/online") or ""),
        "cores_usable": _affinity(),
        "quota_cores": _quota(files),
        "governor": ", ".join(sorted(governors)) or None,
        "min_mhz": min(slowest) / 1000 if slowest else None,
        "max_mhz": max(fastest) / 1000 if fastest else None,
    }


def cpuinfo(files: Files) -> dict[str, str]:
    """The first value of each key in /proc/cpuinfo, keys in lower case."""
    info: dict[str, str] = {}
    for line in (files.text("proc/cpuinfo") or "").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            info.setdefault(key.strip().lower(), value.strip())
    return info


def cpu_flags(info: dict[str, str]) -> set[str] | None:
    """All flags in what `cpuinfo` gives; x86 calls them flags, ARM features."""
    flags = info.get("flags", info.get("features"))
    return None if flags is None else set(flags.split())


def count_ranges(text: str) -> int | None:
    """How many numbers a kernel list names; None if it is no such list.

    >>> count_ranges("0-3,6")
    5
    """
    count = 0
    for part in text.split(","):
        match = re.match(r"^(\d+)(?:-(\d+))?$", part.strip())
        if match is None:
            return None
        first, last = match.group(1), match.group(2) or match.group(1)
        count += int(last) - int(first) + 1
    return count


def _affinity() -> int | None:
    if not hasattr(os, "sched_getaffinity"):  # Linux alone has it
        return os.cpu_count()
    return len(os.sched_getaffinity(0))


def _quota(files: Files) -> float | None:
    """Cores' worth of time that the control group grants; None: no limit, or none seen."""
    group = "sys/fs/cgroup/"
    if files.exists(group + "cpu.max"):
        match = re.match(r"^(\d+) (\d+)$", files.text(group + "cpu.max") or "")
        quota_us, period_us = (int(match.group(1)), int(match.group(2))) if match else (0, 0)
    elif files.exists(group + "cpu/cpu.cfs_quota_us"):
        quota_us = files.number(group + "cpu/cpu.cfs_quota_us") or 0
        period_us = files.number(group + "cpu/cpu.cfs_period_us") or 0
    else:
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None
