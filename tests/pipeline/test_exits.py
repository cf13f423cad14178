"""How a command ends: the line and the code of every kind of error."""

from __future__ import annotations

import errno

import pytest

from edgestill.deploy.errors import DeviceError
from edgestill.models.errors import BadInput, GateFailed, MissingPackage
from edgestill.pipeline.exits import explain


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BadInput("no such\nfile"), 2, "edgestill: no such file\n"),
        (GateFailed("too large"), 1, "edgestill: too large\n"),
        (MissingPackage("timm is not installed"), 3, "edgestill: timm is not installed\n"),
        (DeviceError("no device"), 3, "edgestill: no device\n"),
        (BadInput("\x1b[96mblue\x1b[0m"), 2, "edgestill: blue\n"),
        (FileExistsError(errno.EEXIST, "File exists", "out"), 2, "edgestill: out: File exists\n"),
    ],
)
def test_an_error_for_the_user_is_one_line(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(error) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("error", [BadInput("{}"), ZeroDivisionError("{}")])
def test_a_name_from_a_model_does_nothing_to_a_terminal_or_a_ci(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error.args = ("takes a\x1b[2J\x1b]0;pwn\x07b\u202e and ##[set-output name=ok;]true",)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    explain(error)

    said = capsys.readouterr().err
    assert r"takes a\x1b[2J\x1b]0;pwn\x07b\u202e and ## [set-output name=ok;]true" in said
    assert said.replace("\n", "").isprintable()


def test_a_command_of_a_ci_at_the_start_of_a_traceback_is_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    explain(ZeroDivisionError("one\n::set-output name=ok::true"))

    assert "\n: :set-output name=ok::true\n" in capsys.readouterr().err


def test_a_full_disk_says_that_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(OSError(errno.ENOSPC, "No space left on device", "w/x")) == 2
    assert capsys.readouterr().err == (
        "edgestill: the disk is full (w/x); what was finished stands: run again\n"
    )


def test_a_fault_of_ours_keeps_its_traceback_and_a_code_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert explain(ZeroDivisionError("oops")) == 70
    assert "ZeroDivisionError: oops" in capsys.readouterr().err
