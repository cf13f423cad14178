"""The options of `edgestill check`; check_command.py does what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    models: Annotated[
        list[Path] | None,
        typer.Argument(metavar="MODEL...", help="ONNX files; default: the contract's."),
    ] = None,
    contract: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What must hold, in TOML.")
    ] = None,
    init: Annotated[
        bool,
        typer.Option(
            "--init", help="Write a contract that MODEL, known to be good, keeps to, with comments."
        ),
    ] = False,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="To compare with: an ONNX file, or recorded .npz."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="tensorrt | ort-x86 | ort-arm64; default: as the file says.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Samples: an .npz by input name and labels, or as data.source."
        ),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="AXIS=N", help="Size of a free axis, by its name; repeatable."),
    ] = None,
    emulate: Annotated[
        str | None,
        typer.Option(metavar="arm64[:CPU]", help="Also run it on an emulated arm64 processor."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of ONNX Runtime.")] = 1,
    memory: Annotated[
        str | None, typer.Option(metavar="BYTES", help="Most that a check may use; as 8GB.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=1, help="Longest time for one file.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Verdicts as JSON.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Verdicts as JUnit XML.")
    ] = None,
    sarif: Annotated[Path | None, typer.Option(metavar="FILE", help="Verdicts as SARIF.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Verdicts as Markdown.")
    ] = None,
) -> None:
    """Check ONNX files against a contract; exit 1 if a line fails.

    Example: edgestill check model.onnx --reference model.fp32.onnx --junit check.xml
    """
    from .check_command import Given, check_command, init_command

    given = Given(
        models=tuple(models or ()),
        contract=contract,
        reference=reference,
        target=target,
        data=data,
        sizes=tuple(size or ()),
        emulate=emulate,
        threads=threads,
        memory=memory,
        timeout_s=timeout,
    )
    files = {"json": json_file, "junit": junit, "sarif": sarif, "markdown": markdown}
    raise typer.Exit(init_command(given, files) if init else check_command(given, files))
