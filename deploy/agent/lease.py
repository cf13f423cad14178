"""The hold that an asker has on a measurement: it lasts while the asker speaks, a word a minute.

A closed laptop or a cut cable closes nothing on the device: its end of the connection may stay open
for hours. So the asker says an empty line every few seconds, and `done` when it has the result.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time

LEASE_S = 60.0
GRACE_S = 10.0  # for a run that is under way to return to Python, and the board to be set back
LONGEST_REQUEST = 1 << 20


class Lease:
    """On a file descriptor, the asker's end of a pipe."""

    def __init__(self, descriptor: int, seconds: float = LEASE_S) -> None:
        self._descriptor = descriptor
        self._seconds = seconds
        self._done = threading.Event()

    def request(self) -> str:
        """The first line; from then on the process is interrupted when the lease is over."""
        # Not sys.stdin: its buffer would hold a lock that the interpreter waits for when it ends.
        line = b""
        while not line.endswith(b"\n") and len(line) < LONGEST_REQUEST:
            byte = os.read(self._descriptor, 1)
            if not byte:
                break
            line += byte
        threading.Thread(target=self._watch, daemon=True).start()
        return line.decode("utf-8", "replace")

    def acknowledged(self, seconds: float) -> bool:
        """Whether the asker says `done` within that time."""
        return self._done.wait(seconds)

    def _watch(self) -> None:
        said = b""
        while b"done" not in said:
            readable, _, _ = select.select([self._descriptor], [], [], self._seconds)
            heard = os.read(self._descriptor, 4096) if readable else b""
            if not heard:
                break
            said = (said + heard)[-8:]
        else:
            self._done.set()
            return
        # As Ctrl-C would: the main thread closes what it opened. One that is stuck in a runtime is
        # ended after a while; the guardian sets the board back then (guard.py).
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(GRACE_S)
        os._exit(130)
