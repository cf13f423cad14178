"""The options of `edgestill calibrate`; calibrate_command.py does what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    on: Annotated[str, typer.Option(help="local, or ssh://[user@]host[:port].")] = "local",
    engine: Annotated[str, typer.Option(help="onnxruntime | tensorrt | trtexec")] = "onnxruntime",
    precision: Annotated[
        str, typer.Option(help="fp32 | int8, in the engine's own Q/DQ dialect.")
    ] = "fp32",
    power_mode: Annotated[
        str | None, typer.Option(metavar="MODE", help="Jetson's, set for it and set back.")
    ] = None,
    lock_clocks: Annotated[
        bool, typer.Option("--lock-clocks", help="Pin a Jetson's clocks while it measures.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Intra-op threads on a CPU; default: 1.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images per inference.")] = 1,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Timed seconds of each block, after warm-up.")
    ] = 0.5,
    rounds: Annotated[int, typer.Option(min=1, help="Turns that the blocks take.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Default: latency-DEVICE@MODE-ENGINE-PRECISION.json."),
    ] = None,
    grid: Annotated[
        str, typer.Option(help="small: 208 blocks, 5 minutes on a CPU; full: 401, 9 minutes.")
    ] = "small",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over instead of measuring what is missing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")
    ] = False,
) -> None:
    """Time blocks on a device into a latency table; the same call goes on where it ended.

    Example: edgestill calibrate --on ssh://user@orin --engine tensorrt --precision int8
    """
    from .calibrate_command import calibrate_command

    calibrate_command(
        on,
        engine=engine,
        precision=precision,
        power_mode=power_mode,
        lock_clocks=lock_clocks,
        threads=threads,
        batch=batch,
        seconds=seconds,
        rounds=rounds,
        out=out,
        grid=grid,
        fresh=fresh,
        as_json=as_json,
    )
