"""What every engine is: a runtime that is installed here, opened for one case.

Verbs are called in order: load, feed, run (the first inference), warm_up, window once a round.
An engine in this process gives `run`; one that is a program overrides warm_up and window.
"""

from __future__ import annotations

from typing import Any, Callable

from .timing import Tick, WarmUp, Window, timed_window, warm_up


class Engine:
    """One case, open."""

    name: str
    version: str
    provider: str
    """Where it really runs."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        """What else a reader of the figures wants to know, as JSON takes it."""

    def load(self) -> None:
        """Open the model."""
        raise NotImplementedError

    def feed(self) -> None:
        """Make its input."""
        raise NotImplementedError

    def run(self) -> None:
        """One inference; returns when its outputs are complete in host memory."""
        raise NotImplementedError

    def device_ns(self) -> int | None:
        """Device time of the last run, by the runtime's own events; None where it has none."""
        return None

    def layers(self) -> list[dict[str, Any]] | None:
        """[{"name", "ms"}] of one inference, from a pass of its own; None where there are none."""
        return None

    def warm_up(self, clock_ns: Callable[[], int], seconds: float, tick: Tick) -> WarmUp:
        """Runs until the time per run settles."""
        return warm_up(self.run, clock_ns, seconds, tick)

    def window(
        self,
        clock_ns: Callable[[], int],
        *,
        seconds: float,
        min_runs: int,
        max_seconds: float,
        begin: Callable[[int], None],
        tick: Tick,
    ) -> Window:
        """A timed window. `begin` gets the instant at which it opens, in clock_ns."""
        return timed_window(
            self.run,
            clock_ns,
            seconds=seconds,
            min_runs=min_runs,
            max_seconds=max_seconds,
            begin=begin,
            tick=tick,
            device_ns=self.device_ns,
        )

    def close(self) -> None:
        """Give back what load took."""
