"""A sweep: every run of the grid tried, killed ones again, and all of it kept in sweep.json.

Without a cluster the runs go one after another. With one (`sweep_ray.py`), what a run trains is
made there ahead, several at once; the rest of every run is then done here, one after another: a
latency is worth something only if nothing runs beside it, and compares only on one machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from .events import emit
from .flow import FLOW
from .sweep_child import Outcome
from .sweep_over import Planned
from .sweep_results import Run, Sweep, figures_of, write_sweep
from .sweep_turns import InTurn, Tries
from .sweep_watch import Watch, stage_of

TRIES = 3
POLL_S = 0.3
TRAINED = next(stage.name for stage in reversed(FLOW) if not stage.on_device)
"""The last stage whose result is the same wherever it was made."""


def sweep(
    name: str,
    planned: Sequence[Planned],
    workdir: Path,
    *,
    ahead: AbstractContextManager[Tries] | None = None,
) -> Sweep:
    """Every run tried, in `workdir`, which the caller holds; sweep.json tells all the while.

    `ahead`: where to train them first, up to `TRAINED`; left before anything else is done. A run
    that fails there is not gone on with.
    """
    with ExitStack() as cluster:
        trainers = cluster.enter_context(ahead) if ahead is not None else None
        with Book(name, planned, workdir) as book:
            if trainers is not None:
                _try_all(interleaved(planned), trainers, book, ahead=True)
                cluster.close()
            with closing(InTurn(workdir)) as here:
                _try_all([run for run in planned if not book.failed(run)], here, book)
    return book.sweep


def interleaved(planned: Sequence[Planned]) -> list[Planned]:
    """The runs so ordered that those begin first which share no teacher: none has to wait for one.

    First one run for each teacher, then a second one for each, and so on.
    """
    reads = next(stage.reads for stage in FLOW if stage.name == "teacher")
    met: Counter[str] = Counter()
    turns = []
    for run in planned:
        teacher = repr([run.recipe.part(part) for part in reads])
        turns.append(met[teacher])
        met[teacher] += 1
    order = sorted(range(len(planned)), key=turns.__getitem__)  # sorted() keeps the grid's order
    return [planned[index] for index in order]


class Book:
    """How far each run is: in sweep.json, and told as events of kind `sweep_run`."""

    def __init__(self, name: str, planned: Sequence[Planned], workdir: Path) -> None:
        self._workdir = workdir
        self.folder = workdir / "sweeps" / name
        self.folder.mkdir(parents=True, exist_ok=True)
        runs = tuple(Run(name=run.name, overrides=dict(run.overrides)) for run in planned)
        self.sweep = Sweep(name=name, over=tuple(planned[0].overrides), runs=runs)
        self._watches: dict[str, Watch] = {}
        write_sweep(self.sweep, self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        for run in self.sweep.runs:
            if run.status == "running":
                self.sweep = self.sweep.changed(run.name, status="waiting")
        self.sweep = replace(self.sweep, status="interrupted" if error else "finished")
        write_sweep(self.sweep, self.folder)

    def failed(self, run: Planned) -> bool:
        return self._of(run).status == "failed"

    def waits(self, run: Planned) -> None:
        """A try of the run is asked for; from now on its events are its own."""
        self._watches[run.name] = Watch(self._workdir / "runs" / run.name / "events.jsonl")

    def look(self) -> None:
        """Tell what the runs have written since the last look."""
        for name, watch in self._watches.items():
            for event in watch.fresh():
                if event.get("event") == "run":
                    self._change(name, status="running")
                elif event.get("event") == "note":
                    emit("sweep_run", name=name, status="note", text=str(event.get("text")))
                elif (stage := stage_of(event)) is not None:
                    emit("sweep_run", name=name, status="running", text=stage)

    def again(self, run: Planned, outcome: Outcome) -> None:
        """Its process is gone; it is tried again."""
        self._change(run.name, lost=self._of(run).lost + 1, status="waiting")
        emit("sweep_run", name=run.name, status="again", text=f"{outcome.error}; tried again")

    def ended(self, run: Planned, outcome: Outcome, *, ahead: bool) -> None:
        """A try ended for good: the run is done, or failed, or trained and waits for the rest."""
        folder = self._workdir / "runs" / run.name
        bad = outcome.exit_code != 0
        status = "failed" if bad else "trained" if ahead else "done"
        self._change(
            run.name,
            status=status,
            lost=self._of(run).lost + outcome.lost,
            exit_code=None if status == "trained" else outcome.exit_code,
            error=outcome.error,
            seconds=round((self._of(run).seconds or 0) + outcome.seconds, 3),
            folder=str(folder),
            figures=figures_of(folder) if outcome.reported else None,
        )
        emit(
            "sweep_run",
            name=run.name,
            status=status,
            text=outcome.error or f"{outcome.seconds:.1f} s",
        )

    def _of(self, run: Planned) -> Run:
        return next(each for each in self.sweep.runs if each.name == run.name)

    def _change(self, name: str, **fields: Any) -> None:
        self.sweep = self.sweep.changed(name, **fields)
        write_sweep(self.sweep, self.folder)


def _try_all(runs: Sequence[Planned], tries: Tries, book: Book, *, ahead: bool = False) -> None:
    """Start every run and wait for all; one whose process is lost gets `TRIES` tries."""
    lost: Counter[str] = Counter()
    for run in runs:
        book.waits(run)
        tries.start(run)
    pending = len(runs)
    while pending:
        ended = tries.ended(POLL_S)
        book.look()
        for run, outcome in ended:
            lost[run.name] += outcome.lost
            if outcome.lost and lost[run.name] < TRIES:
                book.again(run, outcome)
                tries.start(run)
                continue
            book.ended(run, outcome, ahead=ahead)
            pending -= 1
