"""The asker's hold on the agent, as a process of its own sees it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

WORK = """
import sys, time
from edgestill.deploy.agent.lease import Lease
lease = Lease(0, seconds=float(sys.argv[1]))
try:
    print(repr(lease.request()), flush=True)
    if sys.argv[2] == "acknowledge":
        print(lease.acknowledged(20), flush=True)
    else:
        time.sleep(20)
        print("slept", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@contextmanager
def working(seconds: float, task: str = "sleep") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WORK, str(seconds), task]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        process.stdin.write("the request\n")
        process.stdin.flush()
        assert process.stdout is not None
        assert process.stdout.readline() == "'the request\\n'\n"
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_work_is_interrupted_when_the_asker_is_gone() -> None:
    with working(seconds=60) as process:
        assert process.stdin is not None
        process.stdin.close()

        assert said(process) == "interrupted"


def test_the_work_is_interrupted_when_the_asker_falls_silent() -> None:
    with working(seconds=0.3) as process:
        assert said(process) == "interrupted"


def test_a_word_now_and_then_keeps_the_lease() -> None:
    with working(seconds=2.0, task="acknowledge") as process:
        assert process.stdin is not None
        for _ in range(5):
            process.stdin.write("\n")
            process.stdin.flush()
        process.stdin.write("do")
        process.stdin.flush()
        process.stdin.write("ne\n")
        process.stdin.flush()

        assert said(process) == "True"
