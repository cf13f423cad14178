"""The `edgestill` command. Each word loads only what it needs; `--help` loads nothing heavy.

Exit codes: 0 done; 1 a gate failed (budget, check); 2 bad input; 3 the device or an optional
package is missing, or another process of the run is gone; 70 a fault of ours, with its traceback;
130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from .cli_calibrate import calibrate
from .cli_device import agent, probe, tegrastats
from .cli_devices import devices
from .cli_profile import profile
from .cli_sweep import sweep
from .exits import INTERRUPTED, explain, say
from .flow import FLOW

app = typer.Typer(
    name="edgestill",
    help="Distill, compress, export: a small network for the device you have.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Recipe = Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped one: digits.")]
Workdir = Annotated[Path, typer.Option(help="Where artifacts and runs are kept.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value: --set budget.macs=15M."),
]
Until = Annotated[
    str | None, typer.Option(metavar="STAGE", help=" | ".join(stage.name for stage in FLOW))
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
WORKDIR = Path("edgestill-work")


@app.command("run")
def run_recipe(
    recipe: Recipe,
    changes: Changes = None,
    until: Until = None,
    workdir: Workdir = WORKDIR,
    wait: Annotated[bool, typer.Option(help="Wait while another run holds the workdir.")] = True,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write curves into runs/NAME/tensorboard.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a recipe: every stage, reusing what stands.

    Example: edgestill run digits --set budget.macs=2M
    """
    from .commands import run_command

    code = run_command(
        recipe,
        changes or [],
        until=_stage(until),
        workdir=workdir,
        wait=wait,
        tensorboard=tensorboard,
        as_json=as_json,
    )
    raise typer.Exit(code)


@app.command("plan")
def plan_recipe(
    recipe: Recipe,
    changes: Changes = None,
    until: Until = None,
    workdir: Workdir = WORKDIR,
    as_json: AsJson = False,
) -> None:
    """Say what a run would do, and why.

    Example: edgestill plan digits --set distill.epochs=20
    """
    from .commands import plan_command

    plan_command(recipe, changes or [], _stage(until), workdir, as_json)


@app.command()
def export(
    source: Annotated[
        str,
        typer.Argument(
            help="A run's name or folder, a family's checkpoint,"
            " torchvision:NAME, timm:NAME or module:function."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the ONNX files.")],
    weights: Annotated[Path | None, typer.Option(help="A .safetensors or state_dict file.")] = None,
    input_shape: Annotated[
        str | None, typer.Option(metavar="CxHxW", help="One image; default 3x224x224.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="tensorrt | ort-x86 | ort-arm64; repeat for several.")
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32 | fp16 | int8")] = "int8",
    calibrate: Annotated[
        str | None, typer.Option(metavar="DATA", help="Images for INT8 ranges, as data.source.")
    ] = None,
    calibration: Annotated[str, typer.Option(help="mse | percentile | minmax")] = "mse",
    keep_float: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER", help="A layer that INT8 leaves in float, or: auto. Repeatable."
        ),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=2, help="Classes; default: as in the weights, else 1000.")
    ] = None,
    workdir: Workdir = WORKDIR,
    as_json: AsJson = False,
) -> None:
    """Write a network as ONNX, in the form that each runtime runs fast.

    Example: edgestill export torchvision:resnet18 --weights r18.safetensors --out onnx
    --precision int8 --calibrate imagefolder:photos
    """
    from .export_command import export_command

    export_command(
        source,
        out,
        weights=weights,
        input_shape=input_shape,
        targets=target,
        precision=precision,
        calibrate=calibrate,
        calibration=calibration,
        keep_float=keep_float or (),
        classes=classes,
        workdir=workdir,
        as_json=as_json,
    )


@app.command()
def check(
    model: Annotated[Path, typer.Argument(help="An ONNX file.")],
    contract: Annotated[Path | None, typer.Option(help="What must hold, in TOML.")] = None,
    reference: Annotated[Path | None, typer.Option(help="An ONNX file to compare with.")] = None,
    target: Annotated[str | None, typer.Option(help="tensorrt | ort-x86 | ort-arm64")] = None,
    emulate: Annotated[
        str | None,
        typer.Option(metavar="arm64[:CPU]", help="Also run it on an emulated arm64 processor."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Verdicts as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Verdicts as JUnit XML.")] = None,
    sarif: Annotated[Path | None, typer.Option(help="Verdicts as SARIF.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Verdicts as Markdown.")] = None,
) -> None:
    """Check an exported file against a contract; exit 1 if a line fails.

    Example: edgestill check model.onnx --reference model.fp32.onnx --junit check.xml
    """
    from .commands import check_command

    files = {"json": json_file, "junit": junit, "sarif": sarif, "markdown": markdown}
    raise typer.Exit(check_command(model, contract, reference, target, emulate, files))


for device_command in (profile, sweep, probe, devices, calibrate, tegrastats, agent):
    app.command()(device_command)


@app.command("init")
def init_recipe(
    folder: Annotated[Path, typer.Argument(help="Where to write recipe.toml.")] = Path(),
) -> None:
    """Write a commented recipe to start from.

    Example: edgestill init my-project
    """
    from .commands import init_command

    init_command(folder)


@app.command()
def schema() -> None:
    """Print the recipe's JSON Schema, for editors and checks.

    Example: edgestill schema > recipe.schema.json
    """
    from .commands import schema_command

    schema_command()


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine has: packages, extras, processor features, energy counters.

    Example: edgestill doctor
    """
    from .doctor import doctor_command

    doctor_command(as_json)


@app.command("report")
def show_report(
    run: Annotated[str, typer.Argument(help="A run's name, or its folder.")],
    workdir: Workdir = WORKDIR,
    as_json: AsJson = False,
) -> None:
    """Show what a finished run came to, and where its report is.

    Example: edgestill report digits
    """
    from .commands import report_command

    report_command(run, workdir, as_json)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        print(version_of("edgestill"))
        raise typer.Exit()


def main() -> NoReturn:
    """The console script: runs the command and turns every error into its line and exit code."""
    for ended in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ended) != signal.SIG_IGN:  # as nohup has it
            signal.signal(ended, _interrupt)
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
        if code == INTERRUPTED:  # typer turns a KeyboardInterrupt into this code, silently
            say("interrupted; run the same command again to go on", code)
    except BrokenPipeError:
        # Whoever read stdout is gone; the interpreter must not try to flush it when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    except Exception as error:
        code = explain(error)
    sys.exit(code)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _stage(name: str | None) -> str | None:
    from ..models.errors import BadInput

    names = [stage.name for stage in FLOW]
    if name is not None and name not in names:
        raise BadInput(f"--until {name}: no such stage; stages: {', '.join(names)}")
    return name
