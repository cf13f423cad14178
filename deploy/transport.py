"""How the agent is started where the device is, and how its lines come back.

    with transport_to(target) as transport:
        path = transport.place(model)
        with transport.start(["bench", "-"], request) as agent:
            for line in agent.lines(patience_s): ...

The local one starts it with the Python that runs edgestill; transport_ssh.py has the other one.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from .agent.receive import state_dir
from .agent_process import AgentProcess
from .bundle import NAME, write_agent
from .target import Target
from .transport_ssh import Ssh


class Transport(Protocol):
    """The way to one device; open while used."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def state_dir(self) -> str | None:
        """Absolute path of the folder on the device where the agent may keep journals and engines;
        it need not exist yet. None: nothing can be kept."""

    def place(self, model: Path) -> str:
        """The path under which the device sees the file."""

    def start(self, arguments: Sequence[str], request: str = "") -> AgentProcess:
        """The agent, started with these arguments and `request` on its stdin."""


def transport_to(target: Target) -> Transport:
    """The way to `target`."""
    return Local() if target.kind == "local" else Ssh(target)


class Local:
    """This machine: the agent, bundled into a temporary folder, is a process of its own.

    keep_in: the state folder; None: the one that an agent reached by ssh would have.
    """

    def __init__(self, python: str = sys.executable, keep_in: Path | None = None) -> None:
        self._python = python
        self._keep_in = keep_in

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="edgestill-agent-")
        self._agent = write_agent(Path(self._folder.name) / NAME)
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    @property
    def state_dir(self) -> str | None:
        return state_dir() if self._keep_in is None else str(self._keep_in.absolute())

    def place(self, model: Path) -> str:
        return str(model.absolute())

    def start(self, arguments: Sequence[str], request: str = "") -> AgentProcess:
        return AgentProcess([self._python, str(self._agent), *arguments], request)
