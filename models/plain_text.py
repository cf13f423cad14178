"""Text from a model file or another library, as it may stand in a log or on a terminal."""

from __future__ import annotations

from collections.abc import Mapping


def printable(text: str) -> str:
    """`text` with every character that is not printable escaped as Python does, line ends too.

    >>> printable("a\\x1b[2J\\nb")
    'a\\\\x1b[2J\\\\nb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def without_commands(text: str, environ: Mapping[str, str]) -> str:
    """`text` with nothing in it that GitHub Actions obeys, where that runs this.

    Its runner takes a line that begins with `::`, and `##[` anywhere in one, for a command:
    actions/runner 2.33x, ActionCommand.cs.

    >>> without_commands("##[set-output name=ok;]true", {"GITHUB_ACTIONS": "true"})
    '## [set-output name=ok;]true'
    """
    if environ.get("GITHUB_ACTIONS") != "true":
        return text
    lines = text.replace("##[", "## [").split("\n")
    return "\n".join(_unled(line) for line in lines)


def _unled(line: str) -> str:
    bare = line.lstrip()
    return f"{line[: len(line) - len(bare)]}: {bare[1:]}" if bare.startswith("::") else line
