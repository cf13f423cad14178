"""A sweep as it goes on: a line for each change where nothing is live, a line a run where it is."""

from __future__ import annotations

import pytest

from edgestill.pipeline.events import emit
from edgestill.pipeline.sweep_board import LINES, Board, board_shown


def happenings() -> None:
    emit("sweep_run", name="b", status="running", text="teacher")
    emit("sweep_run", name="b", status="running", text="teacher epoch 1/4")
    emit("sweep_run", name="b", status="running", text="search reused")
    emit("sweep_run", name="b", status="note", text="teacher 1234 is being made by another run")
    emit("sweep_run", name="b", status="again", text="killed; tried again")
    emit("sweep_run", name="b", status="done", text="2.0 s")
    emit("sweep_run", name="a", status="failed", text="nothing fits")
    emit("note", text="work is in use by process 1")


def test_elsewhere_than_on_a_terminal_a_line_tells_each_change(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with board_shown(["a", "b"], quiet=False):
        happenings()

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "[2/2] b  teacher",
        "[2/2] b  teacher 1234 is being made by another run",
        "[2/2] b  again  killed; tried again",
        "[2/2] b  done  2.0 s",
        "[1/2] a  failed  nothing fits",
        "work is in use by process 1",
    ]


def test_beside_json_only_what_must_be_known_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with board_shown(["a", "b"], quiet=True):
        happenings()

    lines = capsys.readouterr().err.splitlines()
    assert "[1/2] a  failed  nothing fits" in lines
    assert not [line for line in lines if line.endswith(("  teacher", "2.0 s"))]


def test_a_large_sweep_shows_what_is_under_way_and_what_comes_next() -> None:
    names = [f"run-{number}" for number in range(3 * LINES)]
    board = Board(names)
    for name in names[:50]:
        board.note(name, "done", "1.0 s")
    board.note(names[60], "running", "teacher epoch 1/4")
    board.note(names[89], "failed", "nothing fits")

    shown = [name for name, _ in board.shown()]

    assert len(shown) == LINES
    assert {names[60], names[89], names[50]} <= set(shown)
    assert names[0] not in shown
    assert board.table().title.startswith("51 of 90 runs")  # type: ignore[union-attr]
