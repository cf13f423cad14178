"""A device behind SSH: the agent and the models are pushed there once, the agent runs there.

The device needs a POSIX shell and a Python; nothing is installed. Its login shell may be any (fish,
csh, zsh): it gets one line, in which our script for /bin/sh stands between single quotes and has
itself none, nor a backslash, an exclamation mark or an end of line; all that varies follows as
hexadecimal digits. So stdin is free for what belongs there: a file, or the agent's request.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import resources
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from . import agent
from .agent_process import AgentProcess, one_line
from .bundle import NAME, agent_bundle
from .errors import DeviceError, RequestError
from .ssh import Connection
from .target import FORM, Target

PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(13, 7, -1)), "/usr/bin/python3")
# $1 the program, $2 the marker, $3 the order. Python stays the shell's child: of a child killed by
# a signal the shell tells the number; of its own child sshd does not, and ssh ends as if cut off.
SCRIPT = (
    "for p in {pythons}; do "
    'if "$p" -c "import sys;sys.exit(sys.version_info<(3,8))" </dev/null >/dev/null 2>&1; then '
    '"$p" -I -c "import sys;exec(bytes.fromhex(sys.argv[1]))" "$@"; exit $?; fi; done; '
    "echo; echo $2; echo no-python; for p in {pythons}; do "
    '"$p" -c "import sys;print(chr(32).join([sys.version.split()[0],sys.executable]))" '
    "</dev/null 2>/dev/null; done; exit 3"
)
CHUNK_BYTES = 2**20
START_S = 60.0  # for a Python to start on a slow board
STORE_S = 600.0  # for a slow card to take, or to read and check, a large file
MOST_NOISE_BYTES = 2**20

Absolute: TypeAlias = Annotated[str, StringConstraints(pattern=r"^/")]


class Ssh:
    """The way to one device by the user's own OpenSSH client; deploy/ssh.py.

    options: words for ssh that go before all others (`-F config`).
    """

    def __init__(self, target: Target, options: Sequence[str] = ()) -> None:
        self._target = target
        self._connection = Connection(target, options)
        self._program = (resources.files(agent) / "receive.py").read_bytes().hex()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._connection.open()
            stack.callback(self._connection.close)
            self._agent = self._push(BytesIO(agent_bundle()), NAME, shown="the agent")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def state_dir(self) -> str | None:
        return self._agent.state_dir

    def place(self, model: Path) -> str:
        # Nothing of the file's own name, which may be anything, but its kind.
        suffix = model.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,10}", model.suffix) else ""
        shown = one_line(str(model))
        try:
            with model.open("rb") as file:
                return self._push(file, f"model{suffix}", shown).path
        except OSError as error:
            raise RequestError(f"cannot read {shown}: {error.strerror}") from None

    def start(self, arguments: Sequence[str], request: str = "") -> AgentProcess:
        order = {"do": "run", "agent": self._agent.path, "arguments": list(arguments)}
        return self._ask(order, request)

    def _push(self, file: BufferedReader | BytesIO, name: str, shown: str) -> Reply:
        """Has the file on the device, sent unless it is there already."""
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.seek(0, os.SEEK_END)
        order = {"do": "receive", "sha256": sha256, "bytes": size, "name": name}
        with self._ask(order, leased=False) as device:
            reply = self._reply(device)
            if reply.state == "want":
                file.seek(0)
                for start in range(0, size, CHUNK_BYTES):
                    device.send(file.read(min(CHUNK_BYTES, size - start)))
                device.finish()
                reply = self._reply(device)
        if reply.state in ("have", "stored"):
            return reply
        where = f"{one_line(reply.state_dir)} on {self._target.name}"
        if reply.state == "full":
            has = "less" if reply.has is None else _megabytes(reply.has)
            raise DeviceError(
                f"no space left for {shown} in {where}: needs {_megabytes(reply.needs)}, has {has}"
            )
        if reply.state == "failed":
            raise DeviceError(f"cannot keep {shown} in {where}: {one_line(reply.message)}")
        raise DeviceError(
            f"{shown} arrived on {self._target.name} with another content; was it "
            "written to meanwhile?"
        )

    def _ask(self, order: dict[str, Any], request: str = "", leased: bool = True) -> AgentProcess:
        """The device at work on the order, past all that its shell says when it starts."""
        marker = secrets.token_hex(16)  # new each time, so that nothing else can look like it
        script = SCRIPT.format(pythons=self._target.python or " ".join(PYTHONS))
        words = (self._program, marker, json.dumps(order).encode().hex())
        command = self._connection.command(
            f"exec /bin/sh -c '{script}' edgestill {' '.join(words)}"
        )
        with ExitStack() as stack:
            device = stack.enter_context(
                AgentProcess(command, request, leased=leased, explain=self._connection.explain)
            )
            self._skip_noise(device, marker.encode())
            stack.pop_all()  # the caller leaves it
        return device

    def _skip_noise(self, device: AgentProcess, marker: bytes) -> None:
        noise = 0
        for line in device.lines(START_S):
            if line.strip() == marker:
                return
            noise += len(line)
            if noise > MOST_NOISE_BYTES:
                raise DeviceError(
                    f"{self._target.name} talks without end before it runs a command; look at the "
                    "start-up files of its shell"
                )
        raise DeviceError(
            f"{self._target.name} ran no command of ours: its shell {device.last_words()}"
        )

    def _reply(self, device: AgentProcess) -> Reply:
        line = device.line(STORE_S)
        if line.strip() == b"no-python":
            raise DeviceError(self._no_python(list(device.lines(START_S))))
        if not line:
            raise DeviceError(f"{self._target.name} took no file: it {device.last_words()}")
        try:
            return Reply.model_validate_json(line)
        except ValidationError:
            said = one_line(line[:200].decode("utf-8", "replace"))
            raise DeviceError(
                f"{self._target.name} answered with a line that cannot be used: {said}"
            ) from None

    def _no_python(self, lines: Sequence[bytes]) -> str:
        texts = dict.fromkeys(one_line(line.decode("utf-8", "replace")) for line in lines)
        found = ", ".join("Python {} at {}".format(*text.partition(" ")[::2]) for text in texts)
        if not found:
            found = f"no Python at {self._target.python}" if self._target.python else "no Python"
        return (
            f"{found} on {self._target.host}; the agent needs 3.8 or newer: apt install python3.8, "
            f"or name one: {FORM}"
        )


class Reply(BaseModel):
    """What the device says about a file, not to be trusted; deploy/agent/receive.py."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    state: Literal["have", "want", "stored", "cut", "full", "failed"]
    state_dir: Absolute
    path: Absolute = "/"
    needs: int = 0
    has: int | None = None
    message: str = ""

    @model_validator(mode="after")
    def _names_the_file(self) -> Self:
        if self.state in ("have", "want", "stored") and self.path == "/":
            raise ValueError("no path")
        return self


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
