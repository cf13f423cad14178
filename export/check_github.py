"""Reports of a check as GitHub Actions shows them: annotations and the job's summary.

Commands: docs.github.com/actions/reference/workflows-and-actions/workflow-commands. Limits and
parsing as in actions/runner 2.33x: ExecutionContext.cs, FileCommandManager.cs, ActionCommand.cs.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from .check_markdown import headline, markdown, markdown_list
from .check_outcome import encodable, message, outcomes
from .check_report import CheckReport

MOST = 10
"""Annotations of one kind that GitHub keeps per step; the others are dropped without a word."""
MOST_CHARACTERS = 4096
"""Of an annotation's message; the rest is cut off."""
SUMMARY_BYTES = 1 << 20
"""Largest summary of a step; a larger one is not shown at all."""


def annotate(reports: Sequence[CheckReport], environ: Mapping[str, str], stream: TextIO) -> None:
    """Writes annotations to `stream` and the summary to its file, where GitHub Actions runs this.

    What fails the check is an error, undecided a warning; skipped lines share one notice a model.
    Elsewhere, as `environ` tells, nothing is written.
    """
    on_github = environ.get("GITHUB_ACTIONS") == "true"
    if on_github:
        for command in workflow_commands(reports, environ):
            print(command, file=stream)
    if summary := environ.get("GITHUB_STEP_SUMMARY"):
        try:
            _append(reports, Path(summary))
        except OSError as error:  # the verdict stands without it, and the log says so
            says = f"the job summary was not written: {error.strerror or error}"
            print(_command("warning", says, title="edgestill check"), file=stream)
    stream.flush()


@contextmanager
def no_commands(environ: Mapping[str, str], stream: TextIO) -> Iterator[None]:
    """What is printed inside is text alone to GitHub Actions, not commands.

    A table shows names from the model, and the runner obeys `##[set-output name=ok;]true` anywhere
    in a line.
    """
    if environ.get("GITHUB_ACTIONS") != "true":
        yield
        return
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", file=stream, flush=True)
    try:
        yield
    finally:
        print(f"::{token}::", file=stream, flush=True)


def workflow_commands(reports: Sequence[CheckReport], environ: Mapping[str, str]) -> list[str]:
    """Annotations, at most ten of a kind; a notice says how many were left out."""
    errors, warnings, notices = [], [], []
    for report in reports:
        file, model = _in_workspace(report.model, environ), Path(report.model).name
        unchecked = []
        for line, counts in outcomes(report):
            says = f"{model}: {line.name} {line.verdict}: {message(line)}"
            title = f"edgestill check {line.name}"
            if counts in ("fail", "error"):
                errors.append(_command("error", says, file=file, title=title))
            elif line.verdict == "undecided":
                warnings.append(_command("warning", says, file=file, title=title))
            elif line.verdict == "skipped":
                unchecked.append(line.name)
        if unchecked:
            says = f"{model}: not checked: {', '.join(unchecked)}"
            notices.append(_command("notice", says, file=file, title="edgestill check"))
    left_out = [
        f"{len(found) - MOST} more {kind}"
        for kind, found in (("errors", errors), ("warnings", warnings))
        if len(found) > MOST
    ]
    if left_out:
        says = f"{' and '.join(left_out)}: see the job's log or summary"
        notices.insert(0, _command("notice", says, title="edgestill check"))
    return errors[:MOST] + warnings[:MOST] + notices[:MOST]


def _command(kind: str, says: str, **properties: str) -> str:
    """`::error file=F,title=T::says`, escaped.

    >>> _command("error", "50% of\\n2", title="a:b,c")
    '::error title=a%3Ab%2Cc::50%25 of%0A2'
    """
    if len(says) > MOST_CHARACTERS:
        says = says[: MOST_CHARACTERS - 3] + "..."
    listed = ",".join(
        f"{name}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}"
        for name, value in properties.items()
    )
    return f"::{kind} {listed}::{_escaped(says)}"


def _escaped(text: str) -> str:
    return encodable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _in_workspace(model: str, environ: Mapping[str, str]) -> str:
    """The path from the checked out repository, by which GitHub finds the file."""
    path = Path(os.path.abspath(model))
    workspace = Path(os.path.abspath(environ.get("GITHUB_WORKSPACE") or "."))
    return path.relative_to(workspace).as_posix() if path.is_relative_to(workspace) else model


def _append(reports: Sequence[CheckReport], path: Path) -> None:
    """Adds the Markdown to the summary, shortened until the whole is within GitHub's limit."""
    used = path.stat().st_size if path.exists() else 0
    for text in (
        markdown(reports),
        markdown(reports, passes=False),
        markdown_list(reports),
        f"{headline(reports)}\n",
    ):
        content = f"{text}\n".encode()
        if used + len(content) <= SUMMARY_BYTES:
            with path.open("ab") as file:
                file.write(content)
            return
