"""The two failures of the agent: a measurement that cannot be had, and an energy that cannot."""

from __future__ import annotations

EXIT_CODES = {"request": 2, "missing": 3, "device": 3, "refused": 1}


class AgentError(Exception):
    """Ends the agent with one `error` line; `kind`, of EXIT_CODES, gives the exit code."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(" ".join(message.split()))
        self.kind = kind
        self.exit_code = EXIT_CODES[kind]


class Unmeasurable(Exception):
    """Energy cannot be had here; the message says why, and the measurement goes on without it."""
