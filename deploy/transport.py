"""How the agent is started where the device is, and how its lines come back.

A transport has two verbs: `place` brings a file within the device's reach, `start` runs the agent.
The local one starts it with the Python that runs edgestill.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol, Self

from .bundle import NAME, write_agent
from .errors import DeviceError
from .target import Target

LONGEST_LINE = 64 * 2**20  # a million samples take 10 MB


class Transport(Protocol):
    """The way to one device; open while used: `with transport_to(target) as transport`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def place(self, model: Path) -> str:
        """The path under which the device sees the file."""

    def start(self, arguments: Sequence[str], request: str = "") -> AgentProcess:
        """The agent, started with these arguments and `request` on its stdin."""


def transport_to(target: Target) -> Transport:
    """The way to `target`."""
    return Local()


class Local:
    """This machine: the agent, bundled into a temporary folder, is a process of its own."""

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python
        self._folder = tempfile.TemporaryDirectory(prefix="edgestill-agent-")

    def __enter__(self) -> Self:
        self._agent = write_agent(Path(self._folder.name) / NAME)
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def place(self, model: Path) -> str:
        return str(model.absolute())

    def start(self, arguments: Sequence[str], request: str = "") -> AgentProcess:
        return AgentProcess([self._python, str(self._agent), *arguments], request)


class AgentProcess:
    """A running agent: `lines()` as they come, killed when the block is left for whatever reason.

    Its stdin stays open as long as it is wanted. Should this process die without a chance to kill
    it, the system closes that pipe, and the agent ends itself.
    """

    def __init__(self, command: Sequence[str], request: str) -> None:
        with ExitStack() as stack:
            self._stderr = stack.enter_context(tempfile.TemporaryFile())
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
                )
            except OSError as error:
                raise DeviceError(f"cannot start the agent with {command[0]}: {error}") from error
            stack.callback(self._end)
            self._lines: queue.Queue[bytes] = queue.Queue()
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
            self._send(request)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def lines(self, patience_s: float) -> Iterator[bytes]:
        """Line after line of stdout, until it is closed.

        Raises:
            DeviceError: nothing came for `patience_s` seconds, or a line was endless.
        """
        while True:
            try:
                line = self._lines.get(timeout=patience_s)
            except queue.Empty:
                raise DeviceError(
                    f"the agent said nothing for {patience_s:g} s and was stopped"
                ) from None
            if not line:
                return
            if len(line) > LONGEST_LINE:
                raise DeviceError("the agent sent a line of more than 64 MiB and was stopped")
            yield line

    def last_words(self) -> str:
        """How the agent ended, in one line: its exit code and the end of what it said on stderr."""
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return "closed its output and went on running"
        self._stderr.seek(0)
        said = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        ended = f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
        return f"{ended}: {said[-1].strip()}" if said else f"{ended} and said nothing"

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):  # the rest of a request that nobody will read
                    stream.close()

    def _send(self, request: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(request.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it died at once; reading its lines will say so

    def _read(self) -> None:
        assert self._process.stdout is not None
        line = b"-"
        while line:
            line = self._process.stdout.readline(LONGEST_LINE + 1)
            self._lines.put(line)
