"""The options of the words about devices; `profile` has a file of its own, cli_profile.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]


def probe(
    on: Annotated[str, typer.Option("--on", help="local, or ssh://user@host[:port].")] = "local",
    as_json: AsJson = False,
) -> None:
    """Show what a device is, how it is set, what it can measure, and what to do first.

    Example: edgestill probe --on ssh://user@orin
    """
    from .probe_command import probe_command

    probe_command(on, as_json)


def tegrastats(
    log: Annotated[Path, typer.Argument(help="What tegrastats wrote; - for stdin.")],
    interval_ms: Annotated[
        float | None,
        typer.Option(help="Time between two lines; default: from the time stamps in them."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on stdout, the last a summary.")
    ] = False,
) -> None:
    """Read a recorded tegrastats log: each line as numbers, then energy and means over the log.

    Example: edgestill tegrastats board.log --json
    """
    from .tegrastats_command import tegrastats_command

    tegrastats_command(log, as_json, interval_ms)


def agent(
    path: Annotated[Path, typer.Argument(metavar="FILE.pyz", help="The file to write.")],
) -> None:
    """Write the device agent as one file, for boards that no SSH reaches.

    Example: edgestill agent edgestill-agent.pyz
    """
    from .agent_command import agent_command

    agent_command(path)
