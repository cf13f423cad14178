"""The `edgestill` command. Each word loads only what it needs; `--help` loads nothing heavy.

Exit codes: 0 done; 1 a gate failed (budget, check); 2 bad input; 3 the device or an optional
package is missing, or another process of the run is gone; 70 a fault of ours, with its traceback;
130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from .cli_calibrate import calibrate
from .cli_check import check
from .cli_device import agent, probe, tegrastats
from .cli_devices import devices
from .cli_export import export
from .cli_profile import profile
from .cli_search import search
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


of_devices = (probe, devices, calibrate, tegrastats, agent)
for command in (search, export, check, profile, sweep, *of_devices):
    app.command()(command)


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
def schema(
    of: Annotated[str, typer.Argument(help="recipe | contract | check")] = "recipe",
) -> None:
    """Print the JSON Schema of a recipe, of a contract, or of what check --json writes.

    Example: edgestill schema contract > contract.schema.json
    """
    from .commands import schema_command

    schema_command(of)


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
    # ONNX Runtime would start a thread that writes into the user's cache and tells its maker.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        code = _command()(standalone_mode=False) or 0
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


@cache
def _command() -> Any:
    """All words and options, read from their annotations once in a process: that takes longer than
    most words themselves."""
    return typer.main.get_command(app)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _stage(name: str | None) -> str | None:
    from ..models.errors import BadInput

    names = [stage.name for stage in FLOW]
    if name is not None and name not in names:
        raise BadInput(f"--until {name}: no such stage; stages: {', '.join(names)}")
    return name
