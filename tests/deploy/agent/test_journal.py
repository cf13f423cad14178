"""The journal of a job: what was written is there after a kill, and only under the same head."""

from __future__ import annotations

import os
import time
from pathlib import Path

from edgestill.deploy.agent.journal import KEEP_S, Journal

JOB = "0123abcd"
HEAD = {"request": {"cases": ("a", "b")}, "models": [1]}


def test_slices_are_there_for_the_next_call(tmp_path: Path) -> None:
    Journal(tmp_path, JOB, HEAD).add({"round": 0})

    assert Journal(tmp_path, JOB, HEAD).slices == [{"round": 0}]


def test_another_head_begins_anew(tmp_path: Path) -> None:
    Journal(tmp_path, JOB, HEAD).add({"round": 0})

    assert Journal(tmp_path, JOB, {**HEAD, "models": [2]}).slices == []
    assert Journal(tmp_path, JOB, HEAD).slices == []


def test_a_half_written_line_does_not_count_and_spoils_nothing(tmp_path: Path) -> None:
    Journal(tmp_path, JOB, HEAD).add({"round": 0})
    path = tmp_path / "jobs" / f"{JOB}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"round": 1, "sam')

    went_on = Journal(tmp_path, JOB, HEAD)
    went_on.add({"round": 1})

    assert went_on.slices == [{"round": 0}]
    assert Journal(tmp_path, JOB, HEAD).slices == [{"round": 0}, {"round": 1}]


def test_a_file_that_is_no_journal_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / f"{JOB}.jsonl").write_bytes(b"\xff\xfe\n{}\n")

    assert Journal(tmp_path, JOB, HEAD).slices == []


def test_without_a_folder_or_a_job_nothing_is_kept(tmp_path: Path) -> None:
    Journal(None, JOB, HEAD).add({"round": 0})
    Journal(tmp_path, None, HEAD).add({"round": 0})

    assert list(tmp_path.iterdir()) == []


def test_a_removed_journal_is_gone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, JOB, HEAD)
    journal.add({"round": 0})

    journal.remove()

    assert Journal(tmp_path, JOB, HEAD).slices == []


def test_what_nobody_came_back_for_is_removed_after_a_day(tmp_path: Path) -> None:
    Journal(tmp_path, JOB, HEAD).add({"round": 0})
    old = tmp_path / "jobs" / f"{JOB}.jsonl"
    os.utime(old, (time.time() - KEEP_S - 60,) * 2)

    Journal(tmp_path, "ffffffff", HEAD)

    assert not old.exists()
