"""Compiles the stand-in for NVIDIA's management library, fake_nvml.c."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def compiled(folder: Path, *options: str) -> str:
    """The path of the shared library; without a compiler the test is skipped."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc to compile the stand-in for NVIDIA's library")
    path = folder / "libnvidia-ml.so.1"
    source = Path(__file__).with_name("fake_nvml.c")
    command = [compiler, *options, "-Wall", "-Werror", "-shared", "-fPIC", "-o"]
    subprocess.run([*command, str(path), str(source)], check=True)
    return str(path)
