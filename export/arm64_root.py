"""The files of the emulated arm64 machine: made once in a cache folder, without root rights.

    machine-1/      qemu-aarch64, and root/: Debian 13's arm64 Python, unpacked and not installed
    onnxruntime-V/  ONNX Runtime V for that machine, and numpy

apt checks what it downloads against Debian's signed index, pip against the package index's hashes.
A folder appears under its name when it is whole. The host's own apt and pip are not touched.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..models.errors import MissingPackage

# Debian 13 and not the host's release: ONNX Runtime from 1.28 on crashes in the qemu 7.2 of
# Debian 12 (1.24.4 does not) and runs in this one's 10.0.
RELEASE, PYTHON, QEMU = "trixie", "3.13", "qemu-user"
PACKAGES = ("python3", "libstdc++6")
MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PLATFORMS = ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux_2_27_aarch64")
MACHINE = "machine-1"
"""Another number when what is made here changes."""
MADE = "made.json"
SETUP_S = 1800

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Arm64Root:
    """Where the machine lies."""

    machine: Path
    site: Path
    """ONNX Runtime and numpy."""

    @property
    def qemu(self) -> Path:
        return self.machine / "qemu-aarch64"

    @property
    def root(self) -> Path:
        return self.machine / "root"

    @property
    def versions(self) -> dict[str, str]:
        """{"qemu", "onnxruntime"}."""
        return {
            name: text
            for folder in (self.machine, self.site)
            for name, text in json.loads((folder / MADE).read_text()).items()
        }


def arm64_root(cache: Path, onnxruntime: str, say: Say = lambda text: None) -> Arm64Root:
    """The machine in `cache` with that version of ONNX Runtime, made where it is not there yet.

    `MissingPackage`: this host cannot make it (no x86-64 Linux, no apt, no pip, no network).
    """
    host = f"{platform.system()} {platform.machine()}"
    if host != "Linux x86_64":
        raise MissingPackage(f"arm64 is emulated on x86-64 Linux; this is {host}")
    return Arm64Root(
        machine=_made_once(cache / MACHINE, _make_machine, say),
        site=_made_once(
            cache / f"onnxruntime-{onnxruntime}", partial(_make_site, version=onnxruntime), say
        ),
    )


def _made_once(folder: Path, make: Callable[[Path, Say], dict[str, str]], say: Say) -> Path:
    """`folder`, which `make` fills under another name; what it gives is written down last."""
    from filelock import FileLock

    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():  # another process made it meanwhile
            return folder
        for left in folder.parent.glob(f"{folder.name}.part-*"):  # of one that was killed
            shutil.rmtree(left)
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
        try:
            made = make(part, say)
            (part / MADE).write_text(json.dumps(made, indent=2) + "\n")
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def _make_machine(folder: Path, say: Say) -> dict[str, str]:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise MissingPackage(
                f"{tool} is missing: the emulated arm64 machine is unpacked from Debian's packages,"
                " so it is made on Debian and Ubuntu; install it with: apt install apt dpkg"
            )
    if not KEYRING.is_file():
        raise MissingPackage(
            f"{KEYRING} is missing, so Debian's packages cannot be verified;"
            " install it with: apt install debian-archive-keyring"
        )
    say("arm64: fetching Debian's arm64 Python and qemu, once (about 110 MB)")
    apt = folder / "apt"
    fetch = partial(_command, env=_apt_environment(apt), cwd=apt)
    fetch(["apt-get", "update", "--option", "APT::Update::Error-Mode=any"])
    fetch(["apt-get", "install", "--download-only", "--yes", *PACKAGES])
    fetch(["apt-get", "download", f"{QEMU}:amd64"])
    (emulator,) = apt.glob(f"{QEMU}_*.deb")
    root = folder / "root"
    for package in sorted((apt / "var/cache/apt/archives").glob("*.deb")):
        _command(["dpkg-deb", "--extract", str(package), str(root)])
    if not (root / "lib").exists():  # base-files would link it
        (root / "lib").symlink_to("usr/lib")
    _extract(emulator, "./usr/bin/qemu-aarch64", folder / "qemu-aarch64")
    shutil.rmtree(apt)
    return {"qemu": emulator.name.split("_")[1].split("%3a")[-1].split("+")[0]}


def _make_site(folder: Path, say: Say, version: str) -> dict[str, str]:
    if importlib.util.find_spec("pip") is None:
        raise MissingPackage(
            f"pip is missing in this Python, so ONNX Runtime for arm64 cannot be fetched;"
            f" install it with: {sys.executable} -m ensurepip"
        )
    say(f"arm64: fetching ONNX Runtime {version} for arm64, once (about 35 MB)")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    machine = ["--implementation", "cp", "--python-version", PYTHON, "--only-binary=:all:"]
    machine += [word for name in PLATFORMS for word in ("--platform", name)]
    # --no-deps: beside numpy, inference needs none of what the wheel lists.
    wanted = ["--no-deps", f"onnxruntime=={version}", "numpy>=2.1,<3"]
    _command([*pip, *machine, "--no-compile", "--target", str(folder), *wanted])
    return {"onnxruntime": version}


def _apt_environment(apt: Path) -> dict[str, str]:
    """An apt of its own below `apt`: its lists and cache, nothing installed, Debian's sources."""
    for name in ("etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/lib/dpkg"):
        (apt / name).mkdir(parents=True)
    (apt / "var/cache/apt/archives/partial").mkdir(parents=True)
    (apt / "var/lib/dpkg/status").touch()
    (apt / "etc/apt/sources.list").write_text(
        f"deb [signed-by={KEYRING}] {MIRROR} {RELEASE} main\n"
    )
    config = apt / "apt.conf"
    config.write_text(
        _host_proxies() + f'Dir "{apt}";\n'
        f'Dir::State::status "{apt}/var/lib/dpkg/status";\n'
        # The host's own settings may hold hooks, which would run on its own state.
        'Dir::Etc::parts "/dev/null"; Dir::Etc::main "/dev/null";\n'
        'APT::Architecture "arm64"; APT::Architectures { "arm64"; "amd64"; };\n'
        'APT::Install-Recommends "0"; APT::Sandbox::User "root"; Acquire::Languages "none";\n'
    )
    return os.environ | {"APT_CONFIG": str(config), "LC_ALL": "C"}


def _host_proxies() -> str:
    lines = _command(["apt-config", "dump", "Acquire"]).splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith("Acquire::http"))


def _extract(package: Path, member: str, to: Path) -> None:
    """One file of a Debian package, whose other emulators take 400 MB."""
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as unpacking:
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as files:
            for entry in files:
                if entry.name == member and (file := files.extractfile(entry)):
                    with to.open("wb") as copy:
                        shutil.copyfileobj(file, copy)
                    to.chmod(0o755)
                    break
        unpacking.kill()  # the rest is not wanted
    if not to.exists():
        raise MissingPackage(f"{package.name} holds no {member}; please report this")


def _command(
    words: list[str], *, env: dict[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Its output; `MissingPackage` with its first complaint if it fails."""
    try:
        done = subprocess.run(
            words, env=env, cwd=cwd, capture_output=True, text=True, timeout=SETUP_S
        )
    except subprocess.TimeoutExpired:
        raise MissingPackage(f"{' '.join(words[:4])} ... took more than {SETUP_S} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        marked = [line for line in said if line.startswith(("E:", "ERROR:"))]
        raise MissingPackage(
            f"{' '.join(words[:4])} ... failed: {(marked or said[-1:])[0]}; setting up the emulated"
            " arm64 machine needs the network once (deb.debian.org and the package index)"
        )
    return done.stdout
