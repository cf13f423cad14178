"""A power mode and locked clocks for one measurement; the board is set back after it.

Modes are named: their numbers differ between modules and releases. The mode is set before clocks
are locked, since locking takes the limits of the mode that is active, and set back after they are
released. Only what differs from what is wanted is set, and only that is set back.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from .board_lock import board_lock, own_folder
from .clocks import clocks
from .errors import AgentError
from .files import Files
from .guard import Guardian
from .power_mode import power_mode, power_modes
from .programs import Programs
from .restore import RECORD, boot, left_at, restore_failed, restore_leftover, write_record
from .root_commands import STORED

__all__ = ["Settings", "board_lock", "restore_leftover"]


class Settings:
    """Of the board below `root`; `troubles` has the flags of what could not be set back."""

    def __init__(self, programs: Programs, root: Path, state_dir: Path | None) -> None:
        self.troubles: list[dict[str, Any]] = []
        self._programs = programs
        self._root = root
        self._state_dir = state_dir

    @contextmanager
    def applied(self, power_mode: str | None, lock_clocks: bool) -> Iterator[dict[str, Any]]:
        """Sets the board for the time of the block.

        Gives {"power_mode": {"from": {"id", "name"}, "to": ...} or None where it was not set,
        "clocks_locked": whether they are locked, because it was asked for}.

        Raises:
            AgentError: there is no such mode, or the board cannot be set. It has been set back.
        """
        move = self._move(power_mode) if power_mode is not None else None
        locked = self._locked() is True
        lock = lock_clocks and (move is not None or not locked)
        if lock and self._programs.find("jetson_clocks") is None:
            raise AgentError("device", "no jetson_clocks: only a Jetson's clocks can be locked")
        what = {"power_mode": move, "clocks_locked": lock_clocks}
        if move is None and not lock:
            yield what
            return
        folder = self._folder()
        guardian = _guardian(folder, self._programs, move, lock, locked)
        try:
            trouble = guardian.trouble()
            if trouble is not None:
                raise AgentError("device", f"the board cannot be set: {trouble}")
            if lock and self._locked() is False:
                raise AgentError("device", "jetson_clocks ended well, but locked no clock")
            yield what
        except BaseException as error:  # Ctrl-C as well: what is left set is told in any case
            self._set_back(guardian, folder)
            self._tell(error)
            raise
        self._set_back(guardian, folder)

    def _move(self, wanted: str) -> dict[str, Any] | None:
        """From which mode to which; None if the board is in it."""
        if self._programs.find("nvpmodel") is None:
            raise AgentError("device", "no nvpmodel: power modes are a Jetson's")
        files = Files(self._root)
        now = power_mode(files, self._programs)
        if now is None:
            raise AgentError("device", f"the power mode: {files.unread.get('power_mode')}")
        mode = find_mode(wanted, known_modes(files, self._programs))
        return None if mode["id"] == now["id"] else {"from": now, "to": mode}

    def _locked(self) -> bool | None:
        """Whether the GPU's clock is; None where that cannot be read."""
        found = {clock["name"]: clock["locked"] for clock in clocks(Files(self._root))}
        locked: bool | None = found.get("gpu")
        return locked

    def _folder(self) -> Path:
        if self._state_dir is not None:
            return own_folder(self._state_dir)
        return Path(tempfile.mkdtemp(prefix="edgestill-board-"))

    def _set_back(self, guardian: Guardian, folder: Path) -> None:
        record = folder / RECORD
        failed = guardian.set_back()
        if failed is None:  # it was killed
            told = left_at(record, self._programs)
            self.troubles = [each for each in told if each["grave"]]
        else:
            self.troubles = [restore_failed(trouble, record) for trouble in failed]
        if self._state_dir is None and not self.troubles:
            shutil.rmtree(str(folder))

    def _tell(self, error: BaseException) -> None:
        """Adds what could not be set back to an error that ends the measurement."""
        if not self.troubles:
            return
        text = "; ".join(trouble["text"] for trouble in self.troubles)
        if isinstance(error, AgentError):
            raise AgentError(error.kind, f"{error}; {text}") from None
        print(text, file=sys.stderr)


def known_modes(files: Files, programs: Programs) -> list[dict[str, Any]]:
    """{"id", "name"} of each mode, from nvpmodel.conf or else from nvpmodel itself."""
    modes = power_modes(files)
    if not modes:
        said = programs.run("nvpmodel", "-p", "--verbose").out
        listed = re.findall(r"POWER_MODEL: ID=(\d{1,3}) NAME=(\S+)", said)
        modes = [{"id": int(number), "name": name} for number, name in listed]
    return modes


def find_mode(wanted: str, modes: list[dict[str, Any]]) -> dict[str, Any]:
    """The mode of that name, whatever its case, or of that number.

    >>> find_mode("maxn", [{"id": 0, "name": "MAXN"}])
    {'id': 0, 'name': 'MAXN'}

    Raises:
        AgentError: there is none.
    """
    for mode in modes:
        if wanted.lower() == mode["name"].lower():
            return mode
    for mode in modes:
        if wanted == str(mode["id"]):
            return mode
    known = ", ".join(mode["name"] for mode in modes) or "none"
    raise AgentError("request", f"no power mode {wanted!r} on this board; known: {known}")


def _guardian(
    folder: Path, programs: Programs, move: dict[str, Any] | None, lock: bool, locked: bool
) -> Guardian:
    """Puts on record how to set the board back, and has a guardian set it.

    locked: its clocks had been locked, to the limits of the mode that it was found in.
    """
    store = ["jetson_clocks", "--store", str(folder / STORED)]
    restore = ["jetson_clocks", "--restore", str(folder / STORED)]
    to_set, back = [], []
    if move is not None:
        to_set.append(["nvpmodel", "-m", str(move["to"]["id"])])
        back.append(["nvpmodel", "-m", str(move["from"]["id"])])
    if locked:  # they belong to that mode: written back in it
        to_set.insert(0, store)
        back.append(restore)
    elif lock:
        to_set.append(store)
        back.insert(0, restore)
    if lock:
        to_set.append(["jetson_clocks"])
    files = Files(programs.root)
    mode = move["to"] if move is not None else power_mode(files, programs)
    record = write_record(folder, back, None if mode is None else mode["id"], boot(files))
    try:
        return Guardian(record, programs.root, to_set)
    except AgentError:
        record.unlink()
        raise
