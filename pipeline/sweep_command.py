"""`edgestill sweep`: a recipe over a grid of values, with a table and a picture at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from .lock import only_run
from .sweep import TRAINED, sweep
from .sweep_board import board_shown
from .sweep_over import planned_runs
from .sweep_results import Sweep
from .sweep_table import sweep_table


def sweep_command(
    recipe: str,
    over: Sequence[str],
    changes: Sequence[str],
    *,
    ray: str | None,
    cpus: float,
    gpus: float | None,
    workdir: Path,
    wait: bool,
    as_json: bool,
) -> int:
    """Try every run and say what they came to; 1 if one of them failed."""
    name, runs = planned_runs(recipe, over, changes)
    with ExitStack() as stack:
        stack.enter_context(board_shown([run.name for run in runs], quiet=as_json))
        stack.enter_context(only_run(workdir, wait=wait))
        ahead = None
        if ray is not None:
            from .sweep_ray import Share, cluster

            share = Share(cpus=cpus, gpus=gpus)
            ahead = cluster(ray, workdir, TRAINED, share)
        result = sweep(name, runs, workdir, ahead=ahead)
    _told(result, workdir / "sweeps" / name, as_json)
    return 1 if result.failed else 0


def _told(result: Sweep, folder: Path, as_json: bool) -> None:
    from .sweep_plot import pareto

    picture = pareto(result)
    path = folder / "pareto.svg"
    path.unlink(missing_ok=True)  # of an earlier sweep
    if picture is not None:
        path.write_text(picture, encoding="utf-8")
    if as_json:
        print(json.dumps(result.to_json(), indent=2, allow_nan=False))
        return
    sweep_table(result)
    if picture is not None:
        print(f"picture: {path}")
    print(f"figures: {folder / 'sweep.json'}")
