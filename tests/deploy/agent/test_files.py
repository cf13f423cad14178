"""Files below a root: order, numbers, and the reasons kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from edgestill.deploy.agent.files import Files

WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]


def test_folders_are_in_the_order_of_their_numbers(write_files: WriteFiles) -> None:
    files = Files(write_files({f"cpu{n}/x/freq": "1" for n in (10, 2, 0)}))

    assert files.folders("cpu[0-9]*/x") == ["cpu0/x", "cpu2/x", "cpu10/x"]


def test_what_cannot_be_read_is_kept_as_the_device_calls_it(write_files: WriteFiles) -> None:
    files = Files(write_files({"good": "7\n", "bad": "seven\n", "folder/file": ""}))

    assert files.numbers(["good", "bad", "absent", "folder"]) == [7]
    assert files.unread == {
        "/bad": "no number: 'seven'",
        "/absent": "No such file or directory",
        "/folder": "Is a directory",
    }
