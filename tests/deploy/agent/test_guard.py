"""The guardian: however an agent ends, the board is set back. Agents here are real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent import guard
from edgestill.deploy.agent.board_lock import board_lock
from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.programs import Programs
from edgestill.deploy.agent.settings import Settings, restore_leftover
from edgestill.deploy.bundle import write_agent

from ..test_bundle import python
from .set_boards import calls, limits, mode, replace, until

FakeBoards: TypeAlias = Callable[..., Path]
NANO = "orin-nano-super"  # in 25W (1); 15W is 0
SOURCES = "edgestill.deploy.agent"
AGENT = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[4:]
from {package}.programs import Programs
from {package}.settings import Settings
root, state = Path(sys.argv[1]), Path(sys.argv[2])
with Settings(Programs(root), root, state).applied("15W", True) as what:
    print("set", flush=True)
    exec(sys.argv[3])
"""
LOCKS = """
from {package}.board_lock import board_lock
lock = board_lock(state, root)
lock.__enter__()
"""
FOR_LONG = "time.sleep(600)"


@contextmanager
def agent(
    root: Path,
    does: str = FOR_LONG,
    package: str = SOURCES,
    python: str = sys.executable,
    zips: tuple[Path, ...] = (),
) -> Iterator[subprocess.Popen[str]]:
    """A process that has set the board and then does that, in a process group of its own."""
    state = root.parent / "state"
    command = [python, "-c", AGENT.format(package=package), *map(str, (root, state, does, *zips))]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "set\n"
        assert mode(root) == 0
        yield process
        process.kill()


def guardian_of(process: subprocess.Popen[str]) -> int:
    """The pid of its child."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(after_name[1]) == process.pid:
            return int(stat.parent.name)
    raise AssertionError("no guardian")


def is_as_found(root: Path) -> bool:
    return mode(root) == 1 and not (root.parent / "state/board/restore.json").exists()


@pytest.mark.parametrize(
    "ending", [signal.SIGKILL, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGSEGV]
)
def test_an_agent_that_is_killed_leaves_the_board_as_it_was(
    fake_board: FakeBoards, ending: signal.Signals
) -> None:
    root = fake_board(NANO)
    found = limits(root)

    with agent(root) as process:
        # To all of its group, as a terminal does with Ctrl-C and on hanging up.
        os.killpg(process.pid, ending)
        process.wait(timeout=60)
        until(lambda: is_as_found(root))

    assert limits(root) == found
    assert calls(root)[3:] == ["jetson_clocks --restore", "nvpmodel -m 1"]


@pytest.mark.parametrize(
    ("does", "code"), [("pass", 0), ("1 / 0", 1), ("raise SystemExit(3)", 3), ("os._exit(9)", 9)]
)
def test_an_agent_that_ends_by_itself_leaves_the_board_as_it_was(
    fake_board: FakeBoards, does: str, code: int
) -> None:
    root = fake_board(NANO)

    with agent(root, f"import os; sys.stderr.close(); {does}") as process:
        assert process.wait(timeout=60) == code
        until(lambda: is_as_found(root))


def test_signals_do_not_move_the_guardian(fake_board: FakeBoards) -> None:
    root = fake_board(NANO)

    with agent(root) as process:
        for ending in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            os.kill(guardian_of(process), ending)
        still_set = mode(root)
        process.kill()
        until(lambda: is_as_found(root))

    assert still_set == 0


@pytest.mark.parametrize("minor", [8, 13])
def test_it_works_from_the_zip(fake_board: FakeBoards, tmp_path: Path, minor: int) -> None:
    root = fake_board(NANO)
    zipped = write_agent(tmp_path / "agent.pyz")

    with agent(root, package="edgestill_agent", python=python(minor), zips=(zipped,)) as process:
        process.kill()
        until(lambda: is_as_found(root))


def test_files_in_the_working_directory_are_not_taken_for_pythons_own(
    fake_board: FakeBoards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board(NANO)
    (tmp_path / "json.py").write_text("raise SystemExit('not Python\\'s')")
    monkeypatch.chdir(tmp_path)

    with Settings(Programs(root), root, tmp_path / "state").applied("15W", False):
        assert mode(root) == 0

    assert mode(root) == 1


def test_where_the_guardian_is_killed_as_well_the_next_start_sets_the_board_back(
    fake_board: FakeBoards,
) -> None:
    root = fake_board(NANO)
    found = limits(root)
    with agent(root) as process:
        os.kill(guardian_of(process), signal.SIGKILL)
        process.kill()
        process.wait(timeout=60)
    left = mode(root)

    told = restore_leftover(root.parent / "state", Programs(root))
    again = restore_leftover(root.parent / "state", Programs(root))

    assert left == 0
    assert [(flag["kind"], flag["grave"]) for flag in told] == [("restored", False)]
    assert again == []
    assert is_as_found(root)
    assert limits(root) == found


def test_where_the_guardian_alone_is_killed_the_agent_sets_the_board_back(
    fake_board: FakeBoards,
) -> None:
    root = fake_board(NANO)
    with agent(root, "sys.stdin.readline()") as process:
        os.kill(guardian_of(process), signal.SIGKILL)

        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0

    assert is_as_found(root)


def test_the_next_start_waits_for_a_guardian_at_work(fake_board: FakeBoards) -> None:
    root = fake_board(NANO)
    with agent(root) as process:
        replace(root, "nvpmodel", '[ "$1" != -m ] || sleep 1; exec "$0.real" "$@"')
        process.kill()
        process.wait(timeout=60)

        told = restore_leftover(root.parent / "state", Programs(root))

    assert told == []
    assert is_as_found(root)
    assert calls(root).count("nvpmodel -m 1") == 1


def test_a_record_changed_under_way_changes_nothing(fake_board: FakeBoards) -> None:
    root = fake_board(NANO)
    with agent(root) as process:
        (root.parent / "state/board/restore.json").write_text('{"commands": [["reboot"]]}')

        process.kill()
        until(lambda: is_as_found(root))


def test_a_command_that_hangs_and_then_has_its_way_is_undone(
    fake_board: FakeBoards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board(NANO)
    late = '(sleep 3; "$0.real" -m 0) >/dev/null 2>&1 & exec sleep 600'
    replace(root, "nvpmodel", f'[ "$*" != "-m 0" ] || {{ {late}; }}\nexec "$0.real" "$@"')
    brief = f"import {SOURCES}.root_commands as commands; commands.COMMAND_S = 2.0; from importlib"
    monkeypatch.setattr(guard, "START", guard.START.replace("from importlib", brief))

    with (
        pytest.raises(AgentError, match=r"nvpmodel did not end within 2 s$"),
        Settings(Programs(root), root, tmp_path / "state").applied("15W", False),
    ):
        pass

    assert calls(root) == ["nvpmodel -m 1", "nvpmodel -m 0", "nvpmodel -m 1"]
    assert is_as_found(root)


def test_the_machine_is_locked_until_the_board_is_set_back(
    fake_board: FakeBoards, tmp_path: Path
) -> None:
    root = fake_board(NANO)
    locked = AGENT.replace("with Settings", LOCKS + "with Settings")
    command = [sys.executable, "-c", locked.format(package=SOURCES)]
    arguments = [str(root), str(tmp_path / "state"), FOR_LONG]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "set\n"
        replace(root, "nvpmodel", '[ "$1" != -m ] || sleep 1; exec "$0.real" "$@"')
        process.kill()

    with board_lock(None, root, sets=True, set_back_s=60.0):
        found = is_as_found(root)

    assert found


def test_without_a_guardian_nothing_is_set(
    fake_board: FakeBoards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board(NANO)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))

    with (
        pytest.raises(AgentError, match="no guardian can be started: No such file"),
        Settings(Programs(root), root, tmp_path / "state").applied("15W", False),
    ):
        pass

    assert calls(root) == []
    assert list((tmp_path / "state/board").iterdir()) == []


def test_a_guardian_that_dies_at_its_start_is_told(
    fake_board: FakeBoards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board(NANO)
    monkeypatch.setattr(guard, "START", "raise SystemExit(1)")

    with (
        pytest.raises(AgentError, match="the guardian ended before the board was set"),
        Settings(Programs(root), root, tmp_path / "state").applied("15W", False),
    ):
        pass

    assert calls(root) == []
    assert list((tmp_path / "state/board").iterdir()) == []
