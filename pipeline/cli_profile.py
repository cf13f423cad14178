"""The options of `edgestill profile`; profile_command.py does what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def profile(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="ONNX files; several take turns.")
    ],
    on: Annotated[str, typer.Option(help="local, or ssh://[user@]host[:port].")] = "local",
    engine: Annotated[str, typer.Option(help="onnxruntime | tensorrt | trtexec")] = "onnxruntime",
    provider: Annotated[
        str | None, typer.Option(help="Of onnxruntime: cpu | cuda | tensorrt; default: cpu.")
    ] = None,
    batch: Annotated[
        str, typer.Option(metavar="N,...", help="Images per inference; several are crossed.")
    ] = "1",
    precision: Annotated[
        str,
        typer.Option(metavar="P,...", help="Of TensorRT: as-file, fp32, fp16, int8; crossed."),
    ] = "as-file",
    power_mode: Annotated[
        str | None,
        typer.Option(metavar="MODE,...", help="Jetson's, set one after another, then set back."),
    ] = None,
    lock_clocks: Annotated[
        bool, typer.Option("--lock-clocks", help="Pin a Jetson's clocks while it measures.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 where the figures are not to be trusted.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Intra-op threads on a CPU; default: 1.")
    ] = None,
    dla_core: Annotated[
        int | None, typer.Option(min=0, help="Build for this DLA; default: the GPU.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Timed seconds of each case, after warm-up.")
    ] = 2.0,
    warmup: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="The shortest warm-up; longer until the time settles."
        ),
    ] = 0.5,
    runs: Annotated[int, typer.Option(min=1, help="Timed runs of each case at the least.")] = 200,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="Turns that the cases take; default: 1 for one, else 7."),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Also the time of each layer, in a pass of its own.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for JSON, CSV and pictures of all of it.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A row for each case, as CSV.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")
    ] = False,
) -> None:
    """Time ONNX files where they run, with energy where the device can tell, and compare them.

    Example: edgestill profile a.onnx b.onnx --on ssh://user@orin --power-mode 15W,25W
    """
    from .profile_command import profile_command

    profile_command(
        models,
        on=on,
        engine=engine,
        provider=provider,
        batch=batch,
        precision=precision,
        power_mode=power_mode,
        lock_clocks=lock_clocks,
        strict=strict,
        threads=threads,
        dla_core=dla_core,
        seconds=seconds,
        warmup=warmup,
        runs=runs,
        rounds=rounds,
        layers=layers,
        out=out,
        csv=csv,
        as_json=as_json,
    )
