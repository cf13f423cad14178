"""The journal of a job: what was written is there after a kill, and only under the same head."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from edgestill.deploy.agent.journal import KEEP_S, Journal

JOB = "0123abcd"
HEAD = {"request": {"cases": ("a", "b")}, "models": [1]}


def begun(folder: Path, head: dict[str, Any] = HEAD, job: str = JOB, load: int = 0) -> Journal:
    """The journal at the begin of a call, under conditions that tell the calls apart."""
    journal = Journal(folder, job, head)
    journal.begin({"load": load})
    return journal


def test_slices_are_there_for_the_next_call(tmp_path: Path) -> None:
    begun(tmp_path).add({"round": 0}, {})

    assert Journal(tmp_path, JOB, HEAD).slices == [{"round": 0}]


def test_another_head_begins_anew(tmp_path: Path) -> None:
    begun(tmp_path).add({"round": 0}, {})

    assert Journal(tmp_path, JOB, {**HEAD, "models": [2]}).slices == []
    assert Journal(tmp_path, JOB, HEAD).slices == []


def test_a_half_written_line_does_not_count_and_spoils_nothing(tmp_path: Path) -> None:
    begun(tmp_path).add({"round": 0}, {})
    path = tmp_path / "jobs" / f"{JOB}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"round": 1, "sam')

    went_on = begun(tmp_path)
    went_on.add({"round": 1}, {})

    assert went_on.slices == [{"round": 0}]
    assert Journal(tmp_path, JOB, HEAD).slices == [{"round": 0}, {"round": 1}]


def test_a_file_that_is_no_journal_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / f"{JOB}.jsonl").write_bytes(b"\xff\xfe\n{}\n")

    assert Journal(tmp_path, JOB, HEAD).slices == []


def test_without_a_folder_or_a_job_nothing_is_kept(tmp_path: Path) -> None:
    Journal(None, JOB, HEAD).add({"round": 0}, {})
    Journal(tmp_path, None, HEAD).add({"round": 0}, {})

    assert list(tmp_path.iterdir()) == []


def test_a_removed_journal_is_gone(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.add({"round": 0}, {})

    journal.remove()

    assert Journal(tmp_path, JOB, HEAD).slices == []


def test_what_nobody_came_back_for_is_removed_after_a_day(tmp_path: Path) -> None:
    begun(tmp_path).add({"round": 0}, {})
    old = tmp_path / "jobs" / f"{JOB}.jsonl"
    os.utime(old, (time.time() - KEEP_S - 60,) * 2)

    Journal(tmp_path, "ffffffff", HEAD)

    assert not old.exists()


def test_the_conditions_of_each_call_that_measured_are_kept(tmp_path: Path) -> None:
    for load in (1, 2, 3):
        journal = begun(tmp_path, load=load)
        if load != 2:  # the second was cut off before its first slice was complete
            journal.add({"round": 2 * load}, {"load": 10 * load})
            journal.add({"round": 2 * load + 1}, {"load": 10 * load + 1})

    found = Journal(tmp_path, JOB, HEAD)

    assert found.calls == [({"load": 1}, {"load": 11}), ({"load": 3}, {"load": 31})]
    assert [each["round"] for each in found.slices] == [2, 3, 6, 7]


def test_a_folder_that_cannot_be_written_costs_the_copy_and_not_the_measurement(
    tmp_path: Path,
) -> None:
    (tmp_path / "jobs").write_text("a file where the folder should be")

    journal = begun(tmp_path)
    journal.add({"round": 0}, {})

    assert journal.trouble is not None
    assert "a cut connection would lose" in journal.trouble
    assert journal.slices == []
