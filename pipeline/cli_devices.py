"""The options of `edgestill devices`; devices_command.py does what they say."""

from __future__ import annotations

from typing import Annotated

import typer


def devices(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")
    ] = False,
) -> None:
    """List the known modules and power modes, and what the latency estimate knows of them.

    Example: edgestill devices --json
    """
    from .devices_command import devices_command

    devices_command(as_json)
