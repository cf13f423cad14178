"""What is shown of foreign text: nothing that a terminal or GitHub Actions obeys."""

from __future__ import annotations

import pytest

from edgestill.models.plain_text import printable, without_commands

ON_GITHUB = {"GITHUB_ACTIONS": "true"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 😀", "größe 😀"),
        ("a\x1b[2J\x1b]0;pwn\x07b", r"a\x1b[2J\x1b]0;pwn\x07b"),
        ("one\r\ntwo\x85", r"one\r\ntwo\x85"),
        ("\u202egnp.exe\u200b", r"\u202egnp.exe\u200b"),
        ("\x7f\x9b2J", r"\x7f\x9b2J"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("##[set-output name=ok;]true", "## [set-output name=ok;]true"),
        ("found ##[add-path]/tmp", "found ## [add-path]/tmp"),
        ("::set-env name=A::b", ": :set-env name=A::b"),
        ("one\n  ::error::two\n###[group]", "one\n  : :error::two\n### [group]"),
        ("test.py::name", "test.py::name"),
    ],
)
def test_what_github_would_obey_is_broken_there_alone(text: str, shown: str) -> None:
    assert without_commands(text, ON_GITHUB) == shown
    assert without_commands(text, {}) == text
