"""`edgestill check --emulate`: the processor's name, the cache, and how the command ends."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import onnxruntime
import pytest

from edgestill.export.arm64_root import Arm64Root
from edgestill.models.errors import BadInput
from edgestill.pipeline.emulating import arm64_cache, emulated

Edgestill = Callable[..., CompletedProcess[str]]
Machine = Callable[..., Arm64Root]

on_x86_linux = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="emulates on x86-64"
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the machine is looked for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edgestill/arm64"


def test_the_machine_lies_in_the_users_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert arm64_cache() == cache

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert arm64_cache() == Path("/home/me/.cache/edgestill/arm64")


@on_x86_linux
@pytest.mark.parametrize(
    ("name", "cpu"), [("arm64", "cortex-a76"), ("arm64:cortex-a53", "cortex-a53")]
)
def test_the_processor_is_named_after_the_colon(
    name: str, cpu: str, cache: Path, machine: Machine
) -> None:
    machine(cache, onnxruntime=onnxruntime.__version__)

    assert emulated(name).cpu == cpu


@pytest.mark.parametrize("name", ["riscv64", "arm64:z80", "arm64 cortex-a53"])
def test_another_processor_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(BadInput, match=f"{name}: expected arm64 .*cortex-a53, cortex-a72"):
        emulated(name)


@on_x86_linux
def test_the_check_shows_the_lines_and_writes_them(
    cache: Path, machine: Machine, edgestill: Edgestill, finished: Path, tmp_path: Path
) -> None:
    machine(cache, onnxruntime=onnxruntime.__version__)
    # The fake machine has x86-64's defaults, under which this dialect is the one that stays INT8.
    model = finished / "runs/smoke/export/model.ort-x86.onnx"

    done = edgestill(
        "check", model, "--emulate", "arm64", "--json", "c.json", "--junit", "c.xml", cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    lines = {each["name"]: each for each in json.loads((tmp_path / "c.json").read_text())["lines"]}
    assert lines["arm64.runs"]["verdict"] == "pass"
    assert lines["arm64.agrees"]["figures"]["differing_rows"] == 0
    assert "arm64.finite" in done.stdout
    assert 'name="arm64.agrees"' in (tmp_path / "c.xml").read_text()


@on_x86_linux
def test_a_host_that_cannot_make_the_machine_ends_with_3_and_one_line(
    cache: Path,
    edgestill: Edgestill,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    done = edgestill(
        "check",
        finished / "runs/smoke/export/model.ort-arm64.onnx",
        "--emulate",
        "arm64",
        cwd=tmp_path,
    )

    assert done.returncode == 3
    assert done.stderr.startswith("edgestill: apt-get is missing: ")
    assert len(done.stderr.splitlines()) == 1
