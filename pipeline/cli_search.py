"""The options of `edgestill search`; search_command.py does what they say."""

from __future__ import annotations

from typing import Annotated

import typer

Several = list[str] | None
"""Of an option that is given once: twice is told apart from the last one silently holding."""


def search(
    family: Annotated[
        Several, typer.Option(metavar="F", help="A family, or all; several in turn. Default: all.")
    ] = None,
    macs: Annotated[
        Several,
        typer.Option(metavar="N,...", help="At most so many multiply-accumulates: 15M."),
    ] = None,
    params: Annotated[
        Several, typer.Option(metavar="N,...", help="At most so many parameters: 100k.")
    ] = None,
    size: Annotated[
        Several,
        typer.Option("--bytes", metavar="N,...", help="At most so many bytes in INT8: 200KB."),
    ] = None,
    peak_activation_bytes: Annotated[
        Several,
        typer.Option(metavar="N,...", help="At most so much alive at once, float32, one image."),
    ] = None,
    latency_ms: Annotated[
        Several,
        typer.Option(metavar="MS,...", help="At most so many milliseconds on --device."),
    ] = None,
    energy_mj: Annotated[
        Several,
        typer.Option(metavar="MJ,...", help="At most so many millijoules on --device."),
    ] = None,
    device: Annotated[
        Several,
        typer.Option(
            metavar="D", help="orin-nano@15W (see devices), or a table.json of calibrate."
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="P", help="Of the prediction: int8 | fp16 | fp32. Default: int8."),
    ] = None,
    image_size: Annotated[
        int, typer.Option(min=8, max=2048, help="Height and width of the images, in pixels.")
    ] = 32,
    classes: Annotated[int, typer.Option(min=1, max=1_000_000, help="Classes to tell.")] = 10,
    top: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="So many a budget. Default: 10; 1 for several budgets."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")
    ] = False,
) -> None:
    """Find the largest networks that keep a budget; every limit given must hold.

    Several values of one limit are several budgets, each with its own answer.

    Example: edgestill search --macs 15M --device orin-nano@15W --latency-ms 2
    """
    from .search_command import search_command

    search_command(
        family or [],
        limits={
            "macs": macs or [],
            "params": params or [],
            "bytes": size or [],
            "peak_activation_bytes": peak_activation_bytes or [],
            "latency_ms": latency_ms or [],
            "energy_mj": energy_mj or [],
        },
        device=device or [],
        precision=precision,
        image_size=image_size,
        classes=classes,
        top=top,
        as_json=as_json,
    )
