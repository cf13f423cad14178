"""`edgestill doctor`: what this machine has, and what each absent thing would cost."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

EXTRAS = {
    "timm": ("timm", "teachers from timm"),
    "tensorboard": ("tensorboard", "curves in TensorBoard"),
    "tensorrt": ("tensorrt", "TensorRT engines built by edgestill export --build-engine"),
}
REQUIRED = ("torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "pyarrow", "scikit-learn")
INTEGER_FEATURES = ("avx512_vnni", "avx_vnni", "avx512bw", "avx2", "asimddp", "i8mm")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for."""

    name: str
    found: str
    ok: bool
    advice: str = ""


def doctor_command(as_json: bool) -> None:
    """Print every finding; the exit code is 0 unless a required package is absent."""
    from ..models.errors import MissingPackage

    findings = examine(Path("/"))
    if as_json:
        print(json.dumps({"findings": [asdict(each) for each in findings]}, indent=2))
    else:
        for each in findings:
            mark = "ok" if each.ok else "--"
            print(
                f"{mark}  {each.name:<22} {each.found}" + (f"; {each.advice}" * bool(each.advice))
            )
    absent = [each.name for each in findings if each.name in REQUIRED and not each.ok]
    if absent:
        raise MissingPackage(
            f"required packages are absent: {', '.join(absent)}; reinstall edgestill"
        )


def examine(root: Path) -> list[Finding]:
    """What this machine has; `root` is where /proc and /sys are looked for."""
    return [
        Finding("edgestill", importlib.metadata.version("edgestill"), True),
        Finding("python", f"{platform.python_version()} on {platform.platform()}", True),
        *(_package(name) for name in REQUIRED),
        *(_extra(name, *what) for name, what in EXTRAS.items()),
        _processor(root),
        _machine(root),
        _cuda(),
        _energy(root),
        _disk(),
    ]


def _package(name: str) -> Finding:
    try:
        return Finding(name, importlib.metadata.version(name), True)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "absent", False, "reinstall edgestill")


def _extra(name: str, package: str, purpose: str) -> Finding:
    found = _package(package)
    if found.ok:
        return Finding(f"extra {name}", found.found, True)
    return Finding(
        f"extra {name}", "absent", False, f"for {purpose}: pip install 'edgestill[{name}]'"
    )


def _processor(root: Path) -> Finding:
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError as error:
        return Finding("processor", f"unknown ({error.strerror})", False)
    told = {
        key.strip().lower(): value.strip()
        for key, _, value in (line.partition(":") for line in lines)
    }
    flags = (told.get("flags") or told.get("features") or "").split()
    fast = [name for name in INTEGER_FEATURES if name in flags]
    name = f"{told.get('model name', platform.machine())}, {os.cpu_count()} cores"
    vnni = any("vnni" in each or each in ("asimddp", "i8mm") for each in fast)
    advice = "" if vnni else "no 8-bit dot product: INT8 gains less speed here"
    return Finding(
        "processor", f"{name}; {' '.join(fast) or 'no integer extensions'}", vnni, advice
    )


def _machine(root: Path) -> Finding:
    """What a contract's [check.latency] machine names."""
    from ..export.machine_fingerprint import machine_fingerprint

    try:
        return Finding("machine", machine_fingerprint(root), True)
    except ImportError as error:
        return Finding("machine", f"unknown ({error})", False)


def _cuda() -> Finding:
    driver = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
    found = "driver found" if driver else "no NVIDIA driver: training runs on the CPU"
    return Finding("cuda", found, driver)


def _energy(root: Path) -> Finding:
    counters = sorted(root.glob("sys/class/powercap/intel-rapl:*/energy_uj"))
    if not counters:
        return Finding("energy", "no RAPL counter: energy is reported as not measured", False)
    if not os.access(counters[0], os.R_OK):
        return Finding("energy", f"{counters[0]} is not readable", False, "read it as root")
    return Finding("energy", f"RAPL, {len(counters)} domains", True)


def _disk() -> Finding:
    free_gb = shutil.disk_usage(".").free / 1e9
    return Finding("disk", f"{free_gb:.0f} GB free here", free_gb > 1, "" if free_gb > 1 else "low")
