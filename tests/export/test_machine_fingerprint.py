"""The machine as one line: what is in it, and what changes it."""

from __future__ import annotations

import re
from pathlib import Path

import onnxruntime
import pytest

from edgestill.export.machine_fingerprint import machine_fingerprint

CPU = "sys/devices/system/cpu"
SERVER = {
    "proc/cpuinfo": "processor : 0\nmodel name : AMD  EPYC 7R13 Processor\nflags : avx2 fma fpu\n",
    f"{CPU}/online": "0-1\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu0/cpufreq/scaling_min_freq": "1500000\n",
    f"{CPU}/cpu0/cpufreq/scaling_max_freq": "3600000\n",
    "sys/fs/cgroup/cpu.max": "50000 100000\n",
}


def fingerprint(root: Path, **changes: str) -> str:
    """That of the server with some files changed."""
    for name, text in (SERVER | changes).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return machine_fingerprint(root, machine="x86_64")


def test_it_says_what_a_time_depends_on(tmp_path: Path) -> None:
    found = fingerprint(tmp_path)

    assert re.fullmatch(
        r"x86_64 AMD EPYC 7R13 Processor, 0.5 cores, governor performance,"
        rf" onnxruntime {re.escape(onnxruntime.__version__)} #[0-9a-f]{{6}}",
        found,
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("proc/cpuinfo", "model name : AMD EPYC 7R13 Processor\nflags : avx2 fma avx512f\n"),
        (f"{CPU}/cpu0/cpufreq/scaling_governor", "powersave\n"),
        (f"{CPU}/cpu0/cpufreq/scaling_max_freq", "2000000\n"),
        (f"{CPU}/online", "0-7\n"),
        ("sys/fs/cgroup/cpu.max", "max 100000\n"),
    ],
)
def test_another_processor_or_setting_is_another_machine(
    name: str, text: str, tmp_path: Path
) -> None:
    before = fingerprint(tmp_path)

    assert fingerprint(tmp_path, **{name: text}) != before
    assert fingerprint(tmp_path) == before


def test_a_machine_that_tells_nothing_still_has_one(tmp_path: Path) -> None:
    assert machine_fingerprint(tmp_path, machine="riscv64").startswith("riscv64 of unknown model, ")


def test_this_machine_has_the_same_twice() -> None:
    assert machine_fingerprint() == machine_fingerprint()
