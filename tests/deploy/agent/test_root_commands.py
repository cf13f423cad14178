"""The commands that set a board: what they were refused for, in words that help."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent import root_commands
from edgestill.deploy.agent.programs import Programs
from edgestill.deploy.agent.root_commands import Hung, known, perform

from .set_boards import calls, mode, replace

FakeBoards: TypeAlias = Callable[..., Path]
NANO = "orin-nano-super"  # in 25W (1); 7W (3) asks for a reboot


def test_a_mode_is_set_and_read(fake_board: FakeBoards) -> None:
    root = fake_board(NANO)

    assert perform(["nvpmodel", "-m", "2"], Programs(root)) is None

    assert mode(root) == 2


def test_a_mode_that_is_read_already_is_not_set(fake_board: FakeBoards) -> None:
    root = fake_board(NANO)

    assert perform(["nvpmodel", "-m", "1"], Programs(root)) is None

    assert calls(root) == []


def test_a_mode_that_takes_its_time_to_be_read_is_waited_for(fake_board: FakeBoards) -> None:
    root = fake_board(NANO)
    late = 'if [ "$1" = -m ]; then (sleep 0.5; "$0.real" "$@") >/dev/null 2>&1 &'
    replace(root, "nvpmodel", f'{late}\nelse exec "$0.real" "$@"; fi')

    assert perform(["nvpmodel", "-m", "2"], Programs(root)) is None

    assert mode(root) == 2


def test_a_mode_that_is_never_read_is_told(
    fake_board: FakeBoards, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board(NANO)
    replace(root, "nvpmodel", '[ "$1" = -m ] || exec "$0.real" "$@"')
    monkeypatch.setattr(root_commands, "MODE_S", 0.2)

    trouble = perform(["nvpmodel", "-m", "2"], Programs(root))

    assert trouble == "nvpmodel -m 2 ended well, but nvpmodel -q does not read that mode"


def test_a_command_that_hangs_is_told_apart(
    fake_board: FakeBoards, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board(NANO)
    replace(root, "nvpmodel", '[ "$1" = -m ] || exec "$0.real" "$@"; exec sleep 600')
    monkeypatch.setattr(root_commands, "COMMAND_S", 0.2)

    trouble = perform(["nvpmodel", "-m", "2"], Programs(root))

    assert isinstance(trouble, Hung)
    assert trouble == "nvpmodel -m 2 failed: nvpmodel did not end within 0.2 s"


def test_where_a_mode_is_unsure_it_is_set_though_it_is_read(
    fake_board: FakeBoards, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board(NANO)
    monkeypatch.setattr(root_commands, "STEADY_S", 0.2)

    assert perform(["nvpmodel", "-m", "1"], Programs(root), unsure=True) is None

    assert calls(root) == ["nvpmodel -m 1"]


def test_an_unsure_mode_that_changes_again_and_again_is_told(
    fake_board: FakeBoards,
) -> None:
    root = fake_board(NANO)
    moves = '(sleep 0.5; "$0.real" -m 0) >/dev/null 2>&1 &'
    replace(root, "nvpmodel", f'[ "$1" != -m ] || {moves}\nexec "$0.real" "$@"')

    trouble = perform(["nvpmodel", "-m", "1"], Programs(root), unsure=True)

    assert trouble is not None
    assert "the mode changes again: a command that hung goes on" in trouble


@pytest.mark.parametrize("code", [0, 255])
def test_the_question_for_a_reboot_is_told_however_it_ends(
    fake_board: FakeBoards, code: int
) -> None:
    root = fake_board(NANO)
    asks = "echo 'NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:'; read -r answer"
    replace(root, "nvpmodel", f'[ "$1" = -m ] || exec "$0.real" "$@"\n{asks}; exit {code}')

    trouble = perform(["nvpmodel", "-m", "2"], Programs(root))

    assert trouble is not None
    assert "needs a reboot: run sudo nvpmodel -m 2, answer YES, and measure again" in trouble


def test_a_refusal_of_sudo_says_what_to_run_or_to_allow(
    fake_board: FakeBoards, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board(NANO, sudo="refuses")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    trouble = perform(["nvpmodel", "-m", "2"], Programs(root))

    assert trouble == (
        "nvpmodel must run as root, and sudo: a password is required; run yourself: sudo nvpmodel"
        f" -m 2, or allow it in sudoers without a password (NOPASSWD: {root}/usr/sbin/nvpmodel)"
    )


def test_any_other_failure_is_told_in_the_programs_own_words(fake_board: FakeBoards) -> None:
    root = fake_board(NANO)

    trouble = perform(["nvpmodel", "-m", "9"], Programs(root))

    assert trouble == "nvpmodel -m 9 failed: NVPM ERROR: invalid power mode 9"


def test_only_the_clocks_stored_beside_the_record_are_known() -> None:
    folder = Path("/state/board")

    assert known(["jetson_clocks", "--restore", "/state/board/clocks.stored"], folder)
    assert not known(["jetson_clocks", "--restore", "/etc/clocks.stored"], folder)
    assert not known(["nvpmodel", "-m", "\u0662"], folder)  # a digit, yet none of ASCII's
