"""How a command ends: one line for a mistake, and the exit code that belongs to it."""

from __future__ import annotations

import errno
import re
import sys
import traceback


def explain(error: Exception) -> int:
    """The line and the code of an error meant for the user; any other error is ours: raise it."""
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f" ({error.filename})" if error.filename else ""
        return say(f"{_DISK[error.errno]}{where}; what was finished stands: run again", 2)
    if isinstance(error, OSError) and error.filename:
        return say(f"{error.filename}: {error.strerror}", 2)
    if hasattr(error, "exit_code"):  # ours, deploy's and click's alike
        text = error.format_message() if hasattr(error, "format_message") else str(error)
        return say(" ".join(text.split()), int(error.exit_code)) if text else int(error.exit_code)
    traceback.print_exception(error)
    return say("this is a fault of edgestill itself; please report it with the lines above", 70)


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
    print(f"edgestill: {text}", file=sys.stderr)
    return code
