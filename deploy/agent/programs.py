"""The board's own programs (nvpmodel, tegrastats, trtexec, ...), found below a root folder and run.

A fake board brings scripts of its own below its root. On a real one (root /) nothing depends on
PATH, which a shell without a terminal does not set up.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDERS = (
    "usr/sbin",
    "usr/bin",
    "sbin",
    "bin",
    "usr/local/sbin",
    "usr/local/bin",
    "usr/src/tensorrt/bin",  # where JetPack puts trtexec
)


@dataclass(frozen=True)
class Output:
    """What a program said and how it ended; `code` is 127 if it is absent, 124 if it hung."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """The last thing said, for a message; stderr before stdout."""
        said = (self.err.strip() or self.out.strip()).splitlines()
        return said[-1].strip() if said else f"it said nothing and ended with {self.code}"


class Programs:
    """Programs below `root`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def find(self, name: str) -> str | None:
        """The path of the program, or None."""
        for folder in FOLDERS:
            path = self.root / folder / name
            # Not path.is_file(), which raises where a folder is closed to this user.
            if os.path.isfile(str(path)) and os.access(str(path), os.X_OK):
                return str(path)
        return None

    def run(
        self, name: str, *arguments: str, sudo: bool = False, timeout_s: float = 10.0
    ) -> Output:
        """Runs it to its end, without a terminal and without stdin; never raises for its failure.

        sudo: through `sudo -n`, which fails at once where a password would be asked for.
        """
        command = self._command(name, arguments, sudo)
        if command is None:
            return Output(127, "", f"no {name} on this machine")
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment(),
            )
        except OSError as error:
            return Output(127, "", f"{name} cannot be started: {error.strerror}")
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            return Output(124, "", f"{name} did not end within {timeout_s:g} s")
        except BaseException:  # Ctrl-C, too, leaves no program behind
            _end(process)
            raise
        return Output(process.returncode, _text(out), _text(err))

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """The program as a process with its stdout to read; stderr is dropped.

        Raises:
            OSError: it is absent or cannot be started.
        """
        command = self._command(name, arguments, sudo=False)
        if command is None:
            raise FileNotFoundError(2, f"no {name} on this machine")
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )

    def _command(self, name: str, arguments: tuple[str, ...], sudo: bool) -> list[str] | None:
        path = self.find(name)
        if path is None:
            return None
        if not sudo or os.geteuid() == 0:
            return [path, *arguments]
        granting = self.find("sudo")
        # Without sudo the program itself says what right it lacks.
        return [path, *arguments] if granting is None else [granting, "-n", path, *arguments]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills it. One that may not be killed, as root's behind sudo, is not waited for."""
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    try:
        process.kill()
        process.wait(1.0)
    except (PermissionError, subprocess.TimeoutExpired):
        return


def environment() -> dict[str, str]:
    """This process's environment, with messages in the language that parsers expect."""
    return {**os.environ, "LC_ALL": "C"}


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").replace("\0", "")
