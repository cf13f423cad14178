"""Which device is meant: the text of `--on` as a checked value."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import TargetError


@dataclass(frozen=True, kw_only=True)
class Target:
    """A device to measure on."""

    kind: str
    """How it is reached; `local` is this machine, with the Python that runs edgestill."""
    name: str
    """As the user wrote it; stands in messages and records."""


def parse_target(text: str) -> Target:
    """The device that `text` names.

    >>> parse_target("local").kind
    'local'

    Raises:
        TargetError: the text names no device that this version reaches.
    """
    if text != "local":
        raise TargetError(
            f"unknown device {text!r}: only 'local' (this machine) is supported by this version"
        )
    return Target(kind="local", name=text)
