"""How a command ends: one line for a mistake, and the exit code that belongs to it."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback

from ..models.plain_text import printable, without_commands

INTERRUPTED = 130
OURS = 70


def explain(error: Exception) -> int:
    """Print the line of an error meant for the user, or the traceback of any other; its code."""
    text = line_of_error(error)
    if text is None:
        for line in "".join(traceback.format_exception(error)).splitlines():
            print(_harmless(line), file=sys.stderr)
        return say(
            "this is a fault of edgestill itself; please report it with the lines above", OURS
        )
    return say(text, code_of(error)) if text else code_of(error)


def code_of(error: BaseException) -> int:
    """The exit code that belongs to an error; 70 for one that is not meant for the user."""
    if isinstance(error, OSError) and (error.errno in _DISK or error.filename):
        return 2
    # ours, deploy's and click's alike
    return int(error.exit_code) if hasattr(error, "exit_code") else OURS


def line_of_error(error: Exception) -> str | None:
    """Empty for an error that was told already, None for one that is not meant for the user."""
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f" ({error.filename})" if error.filename else ""
        return f"{_DISK[error.errno]}{where}; what was finished stands: run again"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if not hasattr(error, "exit_code"):
        return None
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    return " ".join(text.split())


_DISK = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file may not grow any further here (file size limit)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
}


def say(text: str, code: int) -> int:
    """Print `text` as one line on stderr; the exit code goes through."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)  # other libraries' messages may bring colours
    print(f"edgestill: {_harmless(text)}", file=sys.stderr)
    return code


def _harmless(line: str) -> str:
    """One line that may quote a name from a model or a file."""
    return without_commands(printable(line), os.environ)
