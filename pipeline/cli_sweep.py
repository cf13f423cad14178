"""The options of `edgestill sweep`; sweep_command.py does what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sweep(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or the name of a shipped one: digits.")
    ],
    over: Annotated[
        list[str],
        typer.Option(
            "--over", metavar="KEY=V1,V2,...", help="Values to try; several keys are crossed."
        ),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value for all runs."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Train on a Ray cluster: local (starts one here), auto, HOST:6379 or"
            " ray://HOST:10001.",
        ),
    ] = None,
    cpus: Annotated[
        float, typer.Option(min=0.01, help="Cores of the cluster that each run takes.")
    ] = 1.0,
    gpus: Annotated[
        float | None,
        typer.Option(min=0, help="GPUs that each run takes; default: 1 if there are any."),
    ] = None,
    workdir: Annotated[
        Path, typer.Option(help="Where artifacts, runs and sweeps are kept.")
    ] = Path("edgestill-work"),
    wait: Annotated[bool, typer.Option(help="Wait while another run holds the workdir.")] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")
    ] = False,
) -> None:
    """Run a recipe once for every combination of values; reuse what they share.

    Example: edgestill sweep digits --over budget.macs=1M,2M,3M --over seed=0,1,2 --ray local
    """
    from .sweep_command import sweep_command

    code = sweep_command(
        recipe,
        over,
        changes or [],
        ray=ray,
        cpus=cpus,
        gpus=gpus,
        workdir=workdir,
        wait=wait,
        as_json=as_json,
    )
    raise typer.Exit(code)
