"""One measurement: the board set, all cases measured (measure.py), the board set back, judged."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable

from .engine import Engine
from .engines import open_engine as open_installed
from .errors import AgentError
from .journal import Journal
from .measure import Measured, Say
from .programs import Programs
from .protocol import Case, Request
from .settings import Settings, board_lock, restore_leftover


def bench(
    request: Request,
    say: Say,
    root: Path = Path("/"),
    open_engine: Callable[[Case, Request, Path], Engine] = open_installed,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[dict[str, Any], Journal]:
    """The content of the `result` line, and the journal to remove once it has arrived.

    Slices are said as they are taken. The board is set back before this returns or raises.

    Raises:
        AgentError: a model cannot be loaded or run as asked, or is too slow for the runs asked; the
            board cannot be set as asked; or `strict` was asked for and the figures are in doubt.
    """
    programs = Programs(root)
    state_dir = Path(request.state_dir) if request.state_dir else None
    with board_lock(state_dir, root, sets=request.power_mode is not None or request.lock_clocks):
        told = restore_leftover(state_dir, programs)
        settings = Settings(programs, root, state_dir)
        with settings.applied(request.power_mode, request.lock_clocks) as applied:
            measured = Measured(request, say, root, clock_ns, sleep)
            content = measured.run(open_engine, state_dir)
        content["settings"] = applied
        content["flags"] += [*told, *settings.troubles]
    grave = [
        each["text"] + (f" (to do: {each['remedy']})" if each["remedy"] else "")
        for each in content["flags"]
        if each["grave"]
    ]
    if request.strict and grave:
        measured.journal.remove()  # the same figures are not to be taken over by the next call
        raise AgentError(
            "refused", f"not to be trusted, and --strict was asked: {'; '.join(grave)}"
        )
    return content, measured.journal
