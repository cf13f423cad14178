"""The few commands that set a board and set it back, run as root where `sudo -n` allows it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, Sequence

from .files import Files
from .power_mode import power_mode
from .programs import Output, Programs

STORED = "clocks.stored"
"""What jetson_clocks had found, beside the restore record."""
COMMAND_S = 60.0  # nvpmodel starts services of its own, and a slow board takes seconds for it
MODE_S = 5.0  # until nvpmodel reads the mode that it has just set
STEADY_S = 5.0  # for which a mode must be read where a command that hung may still change it
TRIES = 2  # to set such a mode: what hung has its way once
POLL_S = 0.1


class Hung(str):
    """What went wrong: the command did not end in time. As root's it goes on, and may succeed."""


def known(command: Any, folder: Path) -> bool:
    """Whether it is one of the commands that a measurement may run as root.

    >>> known(["nvpmodel", "-m", "2"], Path("state")), known(["reboot"], Path("state"))
    (True, False)
    """
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        return False
    if command[:2] == ["nvpmodel", "-m"]:
        return len(command) == 3 and re.match(r"^[0-9]{1,3}\Z", command[2]) is not None
    stored = str(folder / STORED)
    return command in (
        ["jetson_clocks"],
        ["jetson_clocks", "--store", stored],
        ["jetson_clocks", "--restore", stored],
    )


def perform(
    command: Sequence[str], programs: Programs, by_hand: str = "", unsure: bool = False
) -> str | None:
    """Runs one command; what went wrong and what the user can do, in a sentence, or None.

    by_hand: what the user is to run where sudo refuses; without it, this command.
    unsure: an earlier command hung, and may still change the board.
    A power mode counts as set once nvpmodel reads it, and is not set again where it does. Where
    that is unsure, it is set in any case, and must be read for STEADY_S.
    """
    if command[0] != "nvpmodel":
        return _run(command, programs, by_hand)
    mode = int(command[2])
    if not unsure and _reads(mode, programs, patience_s=0):
        return None
    for _ in range(TRIES):
        trouble = _run(command, programs, by_hand)
        if trouble is not None:
            return trouble
        if not _reads(mode, programs, MODE_S):
            return f"{' '.join(command)} ended well, but nvpmodel -q does not read that mode"
        if not unsure or _stays(mode, programs):
            return None
    return (
        f"{' '.join(command)} ended well, but the mode changes again: a command that hung goes on"
    )


def _run(command: Sequence[str], programs: Programs, by_hand: str) -> str | None:
    output = programs.run(command[0], *command[1:], sudo=True, timeout_s=COMMAND_S)
    # nvpmodel asks on stdin, which is empty, whether to reboot, and so never does.
    if "reboot" in (output.out + output.err).lower():
        return (
            f"{' '.join(command)} needs a reboot: run sudo {' '.join(command)}, answer YES, and"
            " measure again once the board is up"
        )
    if output.code == 124:
        return Hung(f"{' '.join(command)} failed: {output.last_line}")
    if output.code != 0:
        return _failure(command, output, programs, by_hand or by_sudo([command]))
    return None


def by_sudo(commands: Sequence[Sequence[str]]) -> str:
    """What a user runs to the same end.

    >>> by_sudo([["nvpmodel", "-m", "2"], ["jetson_clocks"]])
    'sudo nvpmodel -m 2 && sudo jetson_clocks'
    """
    # Clocks are stored for the record, which a user by hand has no use for.
    return " && ".join("sudo " + " ".join(each) for each in commands if "--store" not in each)


def _failure(command: Sequence[str], output: Output, programs: Programs, by_hand: str) -> str:
    if "sudo:" in output.err:
        return (
            f"{command[0]} must run as root, and {output.last_line}; run yourself: {by_hand},"
            " or allow it in sudoers without a password"
            f" (NOPASSWD: {programs.find(command[0])})"
        )
    return f"{' '.join(command)} failed: {output.last_line}"


def _reads(mode: int, programs: Programs, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while True:
        read = power_mode(Files(programs.root), programs)
        if read is not None and read["id"] == mode:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)


def _stays(mode: int, programs: Programs) -> bool:
    """Whether nvpmodel reads it for STEADY_S."""
    deadline = time.monotonic() + STEADY_S
    while _reads(mode, programs, patience_s=0):
        if time.monotonic() >= deadline:
            return True
        time.sleep(POLL_S)
    return False
