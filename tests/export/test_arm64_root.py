"""The machine's files: real dpkg-deb and pip, an apt-get that hands out packages made here."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgestill.export import arm64_root as home
from edgestill.export.arm64_root import arm64_root
from edgestill.models.errors import MissingPackage

# `update` leaves a mark, `install` and `download` put packages where the real ones do.
APT_GET = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
  update) {update} ;;
  install) cp {packages}/python3_*.deb var/cache/apt/archives/ ;;
  download) cp {packages}/qemu-user_*.deb . ;;
esac
"""
APT_CONFIG = """#!/bin/sh
echo 'Acquire::http::Proxy "http://proxy:3128";'
echo 'APT::Update::Post-Invoke:: "rm -rf /";'
"""

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="set up on x86-64 alone"),
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb"),
]


def package(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    """A Debian package with those files, as dpkg-deb builds it."""
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.c>\n"
        "Description: a test\n"
    )
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    file = folder / f"{name}_{version.replace(':', '%3a')}_all.deb"
    subprocess.run(["dpkg-deb", "--build", tree, file], check=True, capture_output=True)


def wheel(folder: Path, name: str, version: str) -> None:
    """A wheel for the machine's Python on arm64."""
    tag = "cp313-cp313-manylinux_2_28_aarch64"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as file:
        file.writestr(f"{name}/__init__.py", "")
        file.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: a\nTag: {tag}\n")
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        file.writestr(f"{info}/RECORD", "")


Write = Callable[..., None]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What apt-get was called with, a line per call."""
    return tmp_path / "apt.log"


@pytest.fixture
def write_apt(tmp_path: Path, log: Path) -> Write:
    """Writes the apt-get of this test; `update` is what its update does."""

    def write(update: str = "true") -> None:
        script = tmp_path / "bin/apt-get"
        script.write_text(APT_GET.format(log=log, packages=tmp_path / "packages", update=update))
        script.chmod(0o755)

    return write


@pytest.fixture
def cache(tmp_path: Path, write_apt: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache on a host whose apt and pip give the packages made here."""
    packages, programs, wheels = (tmp_path / name for name in ("packages", "bin", "wheels"))
    for folder in (packages, programs, wheels):
        folder.mkdir()
    package(packages, "python3", "3.13", {"usr/bin/python3.13": "arm64", "usr/lib/ld.so": "loader"})
    package(
        packages,
        "qemu-user",
        "1:10.0.13+ds-0",
        {"usr/bin/qemu-aarch64": "emulator", "usr/bin/qemu-s390x": "another"},
    )
    wheel(wheels, "onnxruntime", "1.2.3")
    wheel(wheels, "numpy", "2.2.0")
    write_apt()
    (programs / "apt-config").write_text(APT_CONFIG)
    (programs / "apt-config").chmod(0o755)
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(home, "KEYRING", keyring)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return tmp_path / "cache"


def test_the_machine_is_unpacked_and_says_its_versions(cache: Path) -> None:
    made = arm64_root(cache, "1.2.3")

    assert made.qemu.read_text() == "emulator"
    assert os.access(made.qemu, os.X_OK)
    assert (made.root / "usr/bin/python3.13").read_text() == "arm64"
    assert (made.root / "lib/ld.so").read_text() == "loader"
    assert (made.site / "onnxruntime/__init__.py").is_file()
    assert (made.site / "numpy/__init__.py").is_file()
    assert made.versions == {"qemu": "10.0.13", "onnxruntime": "1.2.3"}


def test_nothing_else_is_kept(cache: Path) -> None:
    made = arm64_root(cache, "1.2.3")

    assert {path.name for path in made.machine.iterdir()} == {"qemu-aarch64", "root", "made.json"}
    assert {path.name for path in cache.iterdir() if path.is_dir()} == {
        "machine-1",
        "onnxruntime-1.2.3",
    }


def test_a_second_call_fetches_nothing(cache: Path, log: Path) -> None:
    said: list[str] = []
    first = arm64_root(cache, "1.2.3", said.append)
    once = log.read_text(), len(said)

    again = arm64_root(cache, "1.2.3", said.append)

    assert again == first
    assert (log.read_text(), len(said)) == once == (log.read_text(), 2)


def test_another_onnx_runtime_keeps_the_machine(cache: Path, log: Path, tmp_path: Path) -> None:
    arm64_root(cache, "1.2.3")
    once = log.read_text()
    wheel(tmp_path / "wheels", "onnxruntime", "1.3.0")

    newer = arm64_root(cache, "1.3.0")

    assert log.read_text() == once
    assert newer.versions["onnxruntime"] == "1.3.0"


def test_apt_works_on_state_of_its_own(cache: Path, write_apt: Write, tmp_path: Path) -> None:
    seen = tmp_path / "seen.conf"
    write_apt(f"cp $APT_CONFIG {seen}; cp etc/apt/sources.list {tmp_path}")

    arm64_root(cache, "1.2.3")

    # Read by the real apt-config where there is one, else as text.
    config = seen.read_text()
    (directory,) = [line for line in config.splitlines() if line.startswith("Dir ")]
    assert str(cache) in directory
    assert 'Dir::Etc::parts "/dev/null"' in config
    assert "proxy:3128" in config
    assert "Post-Invoke" not in config
    assert f"signed-by={tmp_path}/keyring.gpg" in (tmp_path / "sources.list").read_text()


def test_a_failed_download_leaves_nothing_and_is_told(cache: Path, write_apt: Write) -> None:
    write_apt("echo 'E: Could not resolve deb.debian.org' >&2; exit 100")

    with pytest.raises(MissingPackage, match=r"apt-get update .* Could not resolve.* network once"):
        arm64_root(cache, "1.2.3")

    assert not [path for path in cache.iterdir() if path.is_dir()]
    write_apt()
    assert arm64_root(cache, "1.2.3").qemu.is_file()


def test_what_a_killed_set_up_left_is_not_used(cache: Path) -> None:
    left = cache / "machine-1.part-abc"
    left.mkdir(parents=True)
    (left / "qemu-aarch64").write_text("half")

    made = arm64_root(cache, "1.2.3")

    assert made.qemu.read_text() == "emulator"
    assert not left.exists()


def test_an_onnx_runtime_without_an_arm64_wheel_is_told(cache: Path) -> None:
    with pytest.raises(MissingPackage, match=r"onnxruntime==9\.9"):
        arm64_root(cache, "9.9")


@pytest.mark.parametrize(
    ("absent", "advice"),
    [("apt-get", "apt install apt dpkg"), ("dpkg-deb", "apt install apt dpkg")],
)
def test_a_missing_tool_is_named(
    cache: Path, absent: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == absent else found(name))

    with pytest.raises(MissingPackage, match=f"{absent} is missing.*{advice}"):
        arm64_root(cache, "1.2.3")


def test_a_missing_keyring_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "KEYRING", cache / "none.gpg")

    with pytest.raises(MissingPackage, match="apt install debian-archive-keyring"):
        arm64_root(cache, "1.2.3")


def test_a_python_without_pip_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(MissingPackage, match="ensurepip"):
        arm64_root(cache, "1.2.3")


def test_another_host_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")

    with pytest.raises(MissingPackage, match="x86-64 Linux; this is Darwin arm64"):
        arm64_root(cache, "1.2.3")
