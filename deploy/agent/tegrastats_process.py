"""`tegrastats` as it runs: a thread hands on the power in each line, with the instant it came."""

from __future__ import annotations

import threading
import time
from typing import Callable

from .errors import Unmeasurable
from .programs import Programs
from .tegrastats import LONGEST_LINE, parse_line, rails_mw

INTERVAL_MS = 100
"""Asked for; on a busy Orin Nano 110 came."""
PATIENCE_S = 5.0
"""For the first line with power, and for the one behind a window."""
MOST_WITHOUT = 10
"""Lines in succession without power; then it will not come (as on a Nano with 2 GB)."""
ENDING_S = 1.0
Take = Callable[[int, "dict[str, int]"], None]
"""Takes an instant of the clock, and the milliwatts of each rail."""


class TegrastatsProcess:
    """The program and the thread that reads it.

    If the agent dies, the pipe has no reader any more (no child inherits that end), and the
    program ends as it writes its next line.
    """

    def __init__(self, programs: Programs, clock_ns: Callable[[], int], take: Take) -> None:
        self._clock_ns, self._take = clock_ns, take
        self._said, self._without = "", 0
        try:
            self._process = programs.start("tegrastats", "--interval", str(INTERVAL_MS))
        except OSError as error:
            raise Unmeasurable(f"tegrastats: {error.strerror}") from None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self, done: Callable[[], bool]) -> None:
        """Returns once `done`.

        Raises:
            Unmeasurable: the program ended before, printed lines without power, or nothing.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            reading = self._thread.is_alive()
            if done():
                return
            if not reading:
                raise self._failure("ended")
            if self._without >= MOST_WITHOUT:
                raise self._failure("prints no power rail")
            if time.monotonic() > deadline:
                raise self._failure(f"printed no power for {PATIENCE_S:g} s")
            time.sleep(0.005)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join(ENDING_S)
        # Where the program was a script, its child may still hold the pipe, and the thread reads.
        if self._process.stdout is not None and not self._thread.is_alive():
            self._process.stdout.close()

    def _failure(self, what: str) -> Unmeasurable:
        return Unmeasurable(f"tegrastats {what}" + (f"; it said {self._said!r}" * bool(self._said)))

    def _read(self) -> None:
        stream, begun = self._process.stdout, False
        while stream is not None:
            line = stream.readline(LONGEST_LINE)
            now_ns = self._clock_ns()
            if not line:
                return
            text = line.decode("ascii", "replace")
            # A piece of a line says nothing for sure: its last number may lack digits.
            whole, begun = text.endswith("\n") and not begun, not text.endswith("\n")
            rails = rails_mw(parse_line(text)) if whole else {}
            if rails:
                self._without = 0
                self._take(now_ns, rails)
            else:
                self._without += 1
                self._said = text.strip()[:80] or self._said
