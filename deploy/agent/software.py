"""Versions of what runs networks here: CUDA, TensorRT, cuDNN; found in files, nothing is loaded.

A library's file name has its full version (libnvinfer.so.10.3.0); where there is no such file, the
package's entry counts; last, on the machine itself, TensorRT is asked.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from .files import Files
from .programs import Programs

DRIVER = "proc/driver/nvidia/version"
STATUS = "var/lib/dpkg/status"
LIBRARIES = (
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "usr/local/lib",
    "usr/local/cuda/lib64",
    "usr/local/tensorrt/lib",
)
WANTED = re.compile(r"^(nvidia-l4t-core|libnvinfer\d+|libcudnn\d+.*|cuda-cudart-\d+-\d+)$")


def software(files: Files, programs: Programs, packages: dict[str, str]) -> dict[str, str | None]:
    """Versions, and the path of trtexec; None: not here. `packages`: as below."""
    tensorrt = (
        _of_library(files, "libnvinfer")
        or _of_package(packages, r"libnvinfer\d+$")
        or _of_loaded_tensorrt(files)
    )
    return {
        "cuda": _cuda(files, packages),
        "tensorrt": tensorrt,
        "tensorrt_python": _tensorrt_python(files),
        "cudnn": _of_library(files, "libcudnn")
        or _of_package(packages, r"libcudnn\d+(-cuda-\d+)?$"),
        "trtexec": programs.find("trtexec"),
        "nvidia_driver": _driver(files),
    }


def packages(files: Files) -> dict[str, str]:
    """Debian's version of each installed package that matters here."""
    if not files.exists(STATUS):
        return {}
    found: dict[str, str] = {}
    for entry in (files.text(STATUS) or "").split("\n\n"):
        name = re.match(r"\s*Package: (\S+)\n", entry)
        if name is None or not WANTED.match(name.group(1)):
            continue
        version = re.search(r"(?m)^Version: (\S+)$", entry)
        if version and re.search(r"(?m)^Status: \S+ \S+ installed$", entry):
            found[name.group(1)] = version.group(1)
    return found


def engines(
    files: Files, onnxruntime: dict[str, Any] | None, versions: dict[str, str | None]
) -> dict[str, Any]:
    """What can run a model here, by engine; `versions`: as `software` gives."""
    python, path = versions["tensorrt_python"], versions["trtexec"]
    if versions["tensorrt"] and not python:
        files.unread["engines.tensorrt"] = f"no Python package tensorrt for {sys.executable}"
    return {
        "onnxruntime": onnxruntime,
        "tensorrt": {"version": python} if python else None,
        "trtexec": {"version": versions["tensorrt"], "path": path} if path else None,
    }


def _cuda(files: Files, found: dict[str, str]) -> str | None:
    folder = "usr/local/cuda/"
    if files.exists(folder + "version.json"):
        try:
            version = json.loads(files.text(folder + "version.json") or "")["cuda"]["version"]
            return str(version)
        except (ValueError, KeyError, TypeError) as error:
            files.unread[f"/{folder}version.json"] = f"no version: {error}"
    if files.exists(folder + "version.txt"):  # before CUDA 11
        match = re.search(r"(\d+\.\d+(?:\.\d+)?)", files.text(folder + "version.txt") or "")
        if match:
            return match.group(1)
    return _of_package(found, r"cuda-cudart-\d+-\d+$")


def _of_library(files: Files, name: str) -> str | None:
    """The version in a library's file name; of several, the highest."""
    found = [
        re.search(r"\.so\.(\d+\.\d+\.\d+(?:\.\d+)?)$", path)
        for folder in LIBRARIES
        for path in files.folders(f"{folder}/{name}.so.*")
    ]
    versions = [match.group(1) for match in found if match]
    return max(versions, key=_order, default=None)


def _of_package(found: dict[str, str], pattern: str) -> str | None:
    """The upstream part of a package's version: 10.3.0.30 of 10.3.0.30-1+cuda12.5."""
    versions = [
        version.partition(":")[2] or version
        for name, version in found.items()
        if re.match(pattern, name)
    ]
    upstream = [re.split(r"[-+]", version)[0] for version in versions]
    return max(upstream, key=_order, default=None)


def _order(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _of_loaded_tensorrt(files: Files) -> str | None:
    """Asked of the library itself, wherever the loader finds it; only on the machine itself."""
    if files.root != Path("/"):
        return None
    import ctypes

    for major in (11, 10, 8):
        try:
            library = ctypes.CDLL(f"libnvinfer.so.{major}")
        except OSError:  # the common case: no TensorRT, or of another major version
            continue
        return decoded(int(library.getInferLibVersion()))
    return None


def decoded(number: int) -> str:
    """What TensorRT's getInferLibVersion means; two digits a part since 10.

    >>> decoded(8502), decoded(100300), decoded(110401)
    ('8.5.2', '10.3.0', '11.4.1')
    """
    major = 10_000 if number >= 100_000 else 1_000
    return f"{number // major}.{number % major // 100}.{number % 100}"


def _tensorrt_python(files: Files) -> str | None:
    """The version of the Python package, without importing it, which takes seconds."""
    if files.root == Path("/"):
        folders = [path[1:] for path in sys.path if path.startswith("/")]
    else:
        folders = files.folders("usr/lib/python3*/dist-packages")
    for folder in folders:
        init = f"{folder}/tensorrt/__init__.py"
        if not files.exists(init):
            continue
        match = re.search(r"""(?m)^__version__ = ["'](\d[\w.]*)["']""", files.text(init) or "")
        if match:
            return match.group(1)
        for info in files.folders(folder + "/tensorrt-*.dist-info"):
            return info.rpartition("tensorrt-")[2][: -len(".dist-info")]
        files.unread["software.tensorrt_python"] = f"/{init} has no version"
    return None


def _driver(files: Files) -> str | None:
    name = "proc/driver/nvidia/version"
    if not files.exists(name):
        return None
    match = re.search(
        r"Kernel Module\s+(?:for \S+\s+)?(\d+\.\d+(?:\.\d+)*)", files.text(name) or ""
    )
    return match.group(1) if match else None
