"""A program's lines, with the instant at which each was read; it never outlives its block."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgestill.deploy.agent.trtexec_process import FIRST_LINES, LAST_LINES, TrtexecProcess


def process(script: str) -> TrtexecProcess:
    return TrtexecProcess([sys.executable, "-c", script], time.perf_counter_ns)


def soon() -> int:
    return time.perf_counter_ns() + 30 * 10**9


def test_a_mark_is_found_when_its_line_comes_and_what_follows_waits() -> None:
    script = "import sys; print('a'); print('the mark'); print('b'); sys.exit(3)"
    with process(script) as running:
        before = time.perf_counter_ns()

        first = running.until(("mark",), soon())
        second = running.until(("b",), soon())

        assert first is not None
        assert second is not None
        assert before <= first <= second <= time.perf_counter_ns()
        assert running.code(soon()) == 3
    assert running.text == "a\nthe mark\nb"


def test_errors_are_part_of_what_it_said() -> None:
    with process("import sys; print('no', file=sys.stderr)") as running:
        running.code(soon())

    assert running.text == "no"


def test_an_end_without_the_mark_and_a_deadline_are_told_apart() -> None:
    with process("print('a')") as ending:
        assert ending.until(("mark",), soon()) is None
        assert ending.ended
    with process("import time; time.sleep(600)") as hanging:
        assert hanging.until(("mark",), time.perf_counter_ns() + 10**7) is None
        assert not hanging.ended
        assert hanging.code(time.perf_counter_ns()) is None


def test_leaving_the_block_kills_it() -> None:
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt), process(script) as running:
        assert running.until(("",), soon()) is not None
        raise KeyboardInterrupt

    with pytest.raises(ProcessLookupError):
        os.kill(int(running.text), 0)


def test_of_very_much_text_the_beginning_and_the_end_are_kept() -> None:
    with process("for n in range(30000): print(n)\nprint('x' * 10**7)\nprint('end')") as running:
        assert running.code(soon()) == 0

    lines = running.text.split("\n")
    assert (lines[0], lines[-1]) == ("0", "end")
    assert len(lines) == FIRST_LINES + LAST_LINES
    assert max(map(len, lines)) <= 2000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends it then")
def test_it_dies_with_an_agent_that_is_killed(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    child = "import sys, time; pipe = open(sys.argv[1], 'w', 1); print('here', file=pipe);"
    child += "time.sleep(10); print('outlived', file=pipe)"
    agent = "import sys, time; from edgestill.deploy.agent.trtexec_process import TrtexecProcess;"
    agent += "running = TrtexecProcess(sys.argv[1:], time.perf_counter_ns); time.sleep(600)"
    command = [sys.executable, "-c", agent, sys.executable, "-c", child, str(pipe)]

    with subprocess.Popen(command) as parent, pipe.open() as said:
        begun = said.readline()
        parent.kill()
        rest = said.read()

    assert (begun, rest) == ("here\n", "")
