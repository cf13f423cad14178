"""The guardian: a process that sets the board, and sets it back when the agent ends in any way.

It is a process of its own, in a session of its own, so that neither Ctrl-C nor a hang-up nor the
agent's being killed reaches it. Its stdin is a pipe that the agent holds and never writes to: the
kernel closes it with the agent. What has set the board also sets it back: one process, so nothing
is set after it is set back, and one standing with sudo, whose password may be remembered for the
agent's terminal and not for a process without one.

On stdout it says two lines of JSON: what went wrong while setting (null: nothing), and what went
wrong while setting back (a list). What could not be set back stays on record (restore.py).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Sequence

from .board_lock import MACHINE_LOCKS
from .errors import AgentError
from .programs import Programs
from .restore import BadRecord, carry_out, held, read_record
from .root_commands import Hung, by_sudo, known, perform

# -c, with the path of this process: it finds the package in the agent's zip or among the sources.
# -I: before the path is set, `json` must not be a file of that name in the working directory.
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1));"
    " from importlib import import_module; import_module(sys.argv.pop(1)).main()"
)
PATIENCE_S = 5.0


class Guardian:
    """The guardian of a record, as the agent sees it: it is setting the board."""

    def __init__(self, record: Path, root: Path, commands: Sequence[Sequence[str]]) -> None:
        """Start it.

        Raises:
            AgentError: no process can be started.
        """
        package = str(__package__)
        arguments = [json.dumps(sys.path), f"{package}.guard", str(record), str(root)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", START, *arguments, json.dumps(commands)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                # The machine stays locked until the board is set back, whatever ends the agent.
                pass_fds=tuple(MACHINE_LOCKS),
            )
        except OSError as error:
            reason = f"no guardian can be started: {error.strerror}"
            raise AgentError("device", reason) from None

    def trouble(self) -> str | None:
        """Waits until the board is set; what went wrong, or None."""
        said = self._line()
        return "the guardian ended before the board was set" if said is None else said[0]

    def set_back(self) -> list[str] | None:
        """Has the board set back, and waits; what went wrong. None: the guardian is no more."""
        with self._process as process:
            if process.stdin is not None:
                process.stdin.close()
            said = self._line()
        return None if said is None else list(said[0])

    def _line(self) -> list[Any] | None:
        """What it said, in a list; None if it ended without a word."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return [json.loads(line)] if line.endswith(b"\n") else None


def main() -> None:
    """The guardian's life; its arguments are the record, the root and the commands to set."""
    for ending in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(ending, signal.SIG_IGN)
    record, root, commands = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    guard(record, Programs(root), commands)


def guard(record: Path, programs: Programs, commands: Sequence[Sequence[str]]) -> None:
    """Sets the board, waits for the end of stdin, and sets it back."""
    try:
        with held(record, PATIENCE_S) as there:
            # Read before anything is set, and not again: a file may change meanwhile.
            back = read_record(record).commands if there else []
            trouble = _set(record, programs, commands) if back else f"{record} is gone"
            _say(trouble)
            while os.read(0, 4096):
                pass
            _say(carry_out(record, back, programs, unsure=isinstance(trouble, Hung)))
    except (AgentError, BadRecord) as error:
        _say(f"{record}: {error}")


def _set(record: Path, programs: Programs, commands: Sequence[Sequence[str]]) -> str | None:
    for command in commands:
        if not known(command, record.parent):
            return f"{command!r} is no command that sets a board"
        trouble = perform(command, programs, by_sudo(commands))
        if trouble is not None:
            return trouble
    return None


def _say(word: Any) -> None:
    try:
        os.write(1, json.dumps(word).encode() + b"\n")
    except OSError:
        return  # the agent is no more; what failed stays on record
