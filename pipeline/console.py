"""What a person sees of a run: live bars on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .events import JSON, Sink, listening

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

WIDEST_STAGE = 9  # characters of the longest stage name


@contextmanager
def shown(*, quiet: bool = False) -> Iterator[None]:
    """Within the block, events appear on stderr; `quiet` shows none but notes."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if quiet or not console.is_terminal:
        with listening(_plain(quiet)):
            yield
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bars, listening(_live(console, bars)):
        yield


def stage_line(name: str, status: str, text: str) -> str:
    """One stage's outcome in columns.

    >>> stage_line("distill", "reuse", "9f31c2")
    'distill    reuse  9f31c2'
    """
    return f"{name:<{WIDEST_STAGE}}  {status:<5}  {text}".rstrip()


def line_of(kind: str, fields: dict[str, JSON]) -> str | None:
    """The line that an event is worth, None if it is worth none."""
    told: dict[str, Any] = dict(fields)
    match kind:
        case "stage" if told["status"] == "reuse":
            return stage_line(told["name"], "reuse", told["key"][:6])
        case "stage" if told["status"] == "run":
            return stage_line(told["name"], "run", told["why"])
        case "stage":
            text = f"{told['seconds']:.1f} s{_headline(told.get('metrics') or {})}"
            return stage_line(told["name"], "done", text)
        case "epoch":
            return _epoch_line(told)
        case "note":
            return str(told["text"])
        case _:
            return None


def _headline(metrics: dict[str, Any]) -> str:
    text = metrics.get("headline")
    return f"  {text}" if text else ""


def _epoch_line(told: dict[str, Any]) -> str:
    parts = [
        f"  {told['label']} epoch {told['epoch']}/{told['epochs']}",
        f"loss {told['loss']:.4g}",
    ]
    if len(terms := told.get("terms") or {}) > 1:
        parts.append("(" + " ".join(f"{name} {value:.3g}" for name, value in terms.items()) + ")")
    if told.get("top1") is not None:
        parts.append(f"top-1 {100 * told['top1']:.2f} %")
    parts.append(f"{told['images_per_s']:,.0f} images/s")
    return "  ".join(parts)


def _plain(quiet: bool) -> Sink:
    def say(kind: str, fields: dict[str, JSON]) -> None:
        line = line_of(kind, fields)
        if line is not None and (kind == "note" or not quiet):
            print(line, file=sys.stderr, flush=True)

    return say


def _live(console: Console, bars: Progress) -> Sink:
    tasks: dict[str, TaskID] = {}

    def say(kind: str, fields: dict[str, JSON]) -> None:
        line = line_of(kind, fields)
        if line is not None:
            console.print(line, markup=False)
        told: dict[str, Any] = dict(fields)
        if kind == "progress":
            label, done, total = str(told["label"]), told["done"], told["total"]
            if label not in tasks:
                unit = told.get("unit", "")
                tasks[label] = bars.add_task(label, total=total, unit=unit, rate="")
            speed = bars.tasks[bars.task_ids.index(tasks[label])].speed
            rate = f"{speed:,.0f}/s" if speed else ""
            bars.update(tasks[label], completed=done, total=total, rate=rate)
        finished = kind == "stage" and told["status"] == "done"
        for label in [*tasks] if finished else []:
            bars.remove_task(tasks.pop(label))

    return say
