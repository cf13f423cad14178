"""Versions from files of every layout; nothing is loaded, and what is absent is None."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.agent.files import Files
from edgestill.deploy.agent.programs import Programs
from edgestill.deploy.agent.software import decoded, engines, packages, software

from ..fake_boards import BOARDS

FakeBoards: TypeAlias = Callable[..., Path]
WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]
LIBRARIES = "usr/lib/aarch64-linux-gnu"
PYTHON = "usr/lib/python3.10/dist-packages"


def versions(root: Path) -> dict[str, str | None]:
    files = Files(root)
    return software(files, Programs(root), packages(files))


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_tells_its_versions(fake_board: FakeBoards, name: str) -> None:
    root = fake_board(name)
    truth = BOARDS[name]

    found = versions(root)

    assert (found["tensorrt"], found["tensorrt_python"]) == (truth.tensorrt, truth.tensorrt)
    assert str(found["cuda"]).startswith(truth.cuda)
    assert str(found["cudnn"]) == next(iter(truth.packages.values())).partition("-")[0]
    assert found["trtexec"] == str(root / "usr/src/tensorrt/bin/trtexec")


def test_a_librarys_file_name_counts_before_the_package(write_files: WriteFiles) -> None:
    root = write_files(
        {
            f"{LIBRARIES}/libnvinfer.so.10": "",
            f"{LIBRARIES}/libnvinfer.so.10.3.0": "",
            f"{LIBRARIES}/libnvinfer_plugin.so.10.9.0": "",
            f"{LIBRARIES}/libcudnn.so.9.3.0": "",
            "var/lib/dpkg/status": "Package: libnvinfer8\nStatus: install ok installed\n"
            "Version: 8.6.2-1\n",
        }
    )

    found = versions(root)

    assert (found["tensorrt"], found["cudnn"]) == ("10.3.0", "9.3.0")


def test_a_package_that_was_removed_does_not_count(write_files: WriteFiles) -> None:
    status = (
        "Package: libnvinfer8\nStatus: deinstall ok config-files\nVersion: 8.6.2-1\n\n"
        "Package: libcudnn9-cuda-12\nStatus: install ok installed\nVersion: 1:9.3.0.75-1\n\n"
        "Package: cuda-cudart-12-6\nStatus: install ok installed\nVersion: 12.6.68-1\n\n"
        "Package: bash\nStatus: install ok installed\nVersion: 5\n"
    )

    found = versions(write_files({"var/lib/dpkg/status": status}))

    assert (found["tensorrt"], found["cudnn"], found["cuda"]) == (None, "9.3.0.75", "12.6.68")


def test_metadata_tells_where_the_module_does_not(write_files: WriteFiles) -> None:
    root = write_files(
        {
            f"{PYTHON}/tensorrt/__init__.py": "from .tensorrt import *\n",
            f"{PYTHON}/tensorrt-10.3.0.dist-info/METADATA": "",
        }
    )

    assert versions(root)["tensorrt_python"] == "10.3.0"


def test_a_python_package_without_a_version_is_none_with_the_reason(
    write_files: WriteFiles,
) -> None:
    files = Files(write_files({f"{PYTHON}/tensorrt/__init__.py": ""}))

    assert software(files, Programs(files.root), {})["tensorrt_python"] is None
    assert "no version" in files.unread["software.tensorrt_python"]


def test_on_this_machine_the_package_is_looked_for_where_python_imports_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorrt").mkdir()
    (tmp_path / "tensorrt/__init__.py").write_text('__version__ = "9.9.1"\nraise SystemExit\n')
    monkeypatch.syspath_prepend(tmp_path)

    found = software(Files(Path("/")), Programs(), {})

    assert found["tensorrt_python"] == "9.9.1"
    assert "tensorrt" not in sys.modules


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cuda": "12"}', '{"cuda": {}}'])
def test_a_broken_version_file_is_no_crash(write_files: WriteFiles, text: str) -> None:
    files = Files(write_files({"usr/local/cuda/version.json": text}))

    assert software(files, Programs(files.root), {})["cuda"] is None
    assert "/usr/local/cuda/version.json" in files.unread


def test_the_driver_of_a_desktop_gpu_is_read(write_files: WriteFiles) -> None:
    line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build\n"

    assert versions(write_files({"proc/driver/nvidia/version": line}))["nvidia_driver"] == (
        "570.86.10"
    )


@pytest.mark.parametrize(
    ("python", "path", "tensorrt", "trtexec"),
    [
        (
            "10.3.0",
            "/t/trtexec",
            {"version": "10.3.0"},
            {"version": "10.3.0", "path": "/t/trtexec"},
        ),
        (None, "/t/trtexec", None, {"version": "10.3.0", "path": "/t/trtexec"}),
        (None, None, None, None),
    ],
)
def test_an_engine_is_what_python_or_a_program_can_use(
    tmp_path: Path,
    python: str | None,
    path: str | None,
    tensorrt: dict[str, Any] | None,
    trtexec: dict[str, Any] | None,
) -> None:
    files = Files(tmp_path)

    found = engines(files, None, {"tensorrt": "10.3.0", "tensorrt_python": python, "trtexec": path})

    assert found == {"onnxruntime": None, "tensorrt": tensorrt, "trtexec": trtexec}
    assert ("engines.tensorrt" in files.unread) == (python is None)


@pytest.mark.parametrize(
    ("number", "version"), [(8201, "8.2.1"), (8412, "8.4.12"), (101302, "10.13.2")]
)
def test_the_librarys_number_is_decoded(number: int, version: str) -> None:
    assert decoded(number) == version
