"""The closing table of a sweep, on stdout: a line for each run, the failures below it."""

from __future__ import annotations

from .sweep_results import Figures, Run, Sweep
from .table import figures_table, tables_console
from .wording import NOT_MEASURED, count, number, percent, size

MET = {True: "met", False: "MISSED", None: NOT_MEASURED}


def sweep_table(sweep: Sweep) -> None:
    """Every run with what was varied and what came of it; then why runs failed, in full."""
    console = tables_console()
    heads = (*_short(sweep.over), *_heads(sweep.shipped))
    cells = [(*run.overrides.values(), *_cells(run, sweep.shipped)) for run in sweep.runs]
    console.print(figures_table(heads, cells, title=sweep.name))
    settings = _settings(sweep)
    for setting in settings:
        console.print(setting, style="dim", markup=False)
    if len(settings) > 1:
        line = "the latencies were taken under different conditions: they do not compare"
        console.print(line, style="yellow", markup=False)
    for run in sweep.failed:
        line = f"failed: {run.name}: {run.error} (exit code {run.exit_code})"
        console.print(line, style="bold red", markup=False, soft_wrap=True)
    told = f"{len(sweep.runs) - len(sweep.failed)} of {len(sweep.runs)} runs done"
    console.print(f"{told}, {len(sweep.failed)} failed" if sweep.failed else told, markup=False)


def _heads(shipped: str) -> tuple[str, ...]:
    file = shipped if shipped == "student" else f"INT8 {shipped}"
    top1 = ("teacher", "student") if shipped == "student" else ("teacher", "student", file)
    return (*top1, "MACs", "params", "weights", "p50 ms", "budget", "")


def _cells(run: Run, shipped: str) -> tuple[str, ...]:
    status = run.status if run.lost == 0 else f"{run.status}, {run.lost} lost"
    figures = run.figures
    if figures is None:
        return (*("-" for _ in _heads(shipped)[:-1]), status)
    files = dict.fromkeys(("teacher", "student", shipped))
    return (
        *(percent(figures.top1.get(file), figures.held_out_images) for file in files),
        count(figures.macs),
        count(figures.params),
        size(figures.weight_bytes.get(shipped)),
        number(figures.latency_ms.get(shipped)),
        MET[figures.budget_met],
        status,
    )


def _settings(sweep: Sweep) -> tuple[str, ...]:
    """Under what conditions the shipped files were timed, each once."""
    every = (_setting(figures, sweep.shipped) for figures in sweep.with_figures.values())
    return tuple(dict.fromkeys(setting for setting in every if setting))


def _setting(figures: Figures, file: str) -> str | None:
    return figures.timed.get(file)


def _short(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key.removeprefix("budget.") for key in keys)
