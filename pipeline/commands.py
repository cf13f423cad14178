"""What each word of the command does, apart from its options: `cli.py` has those."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .console import shown, stage_line

if TYPE_CHECKING:
    from .run import Result


def run_command(
    recipe: str,
    changes: list[str],
    *,
    until: str | None,
    workdir: Path,
    wait: bool,
    tensorboard: bool,
    as_json: bool,
) -> int:
    """Run it and print what it came to; 1 if the check failed.

    Of several processes that torchrun started, the first does this and the others follow it.
    """
    from .processes import processes_of_this_run
    from .recipe_file import load_recipe
    from .run import run

    with processes_of_this_run() as processes:
        loaded = load_recipe(recipe, changes)
        with ExitStack() as listeners, redirect_stdout(sys.stderr):  # a user's own code may print
            if processes.rank > 0:
                from .follow import follow

                follow(loaded, processes)
            listeners.enter_context(shown(quiet=as_json))
            if tensorboard:
                from .tensorboard import curves

                listeners.enter_context(curves(workdir / "runs" / loaded.name / "tensorboard"))
            result = run(loaded, workdir, until=until, wait=wait, processes=processes)
        code = _told(loaded.name, result, workdir, as_json)
        processes.end(code)
    return code


def _told(recipe: str, result: Result, workdir: Path, as_json: bool) -> int:
    if "report" in result.artifacts:
        report_command(str(result.folder), workdir, as_json)
    elif as_json:
        told = {name: str(each.path) for name, each in result.artifacts.items()}
        print(json.dumps({"recipe": recipe, "artifacts": told}))
    if not result.failed_checks:
        return 0
    print(f"edgestill: the check failed: {'; '.join(result.failed_checks)}", file=sys.stderr)
    return 1


def plan_command(
    recipe: str, changes: list[str], until: str | None, workdir: Path, as_json: bool
) -> None:
    """Print every stage with reuse or run, and why."""
    from .plan import plan
    from .recipe_file import load_recipe

    steps = list(plan(load_recipe(recipe, changes), workdir, until))
    if as_json:
        told = {
            step.stage.name: {
                "action": "run" if step.artifact is None else "reuse",
                "key": step.key,
                "why": step.why,
            }
            for step in steps
        }
        print(json.dumps({"stages": told}, indent=2))
        return
    for step in steps:
        if step.artifact is not None:
            print(stage_line(step.stage.name, "reuse", (step.key or "")[:6]))
        else:
            print(stage_line(step.stage.name, "run", step.why))


def report_command(run: str, workdir: Path, as_json: bool) -> None:
    """Print a finished run's table and where its report lies."""
    from .summary import Summary
    from .table import closing_table

    folder = run_folder(run, workdir)
    path = folder / "summary.json"
    try:
        text = path.read_text(encoding="utf-8")
        summary = Summary.model_validate_json(text)
    except (ValueError, OSError):
        raise BadInput(f"{path} is damaged; run the recipe again to have it written anew") from None
    for stage, made in summary.artifacts.items():
        if (folder / stage).resolve().name != Path(made).name:
            print(
                f"{stage} was made again since this report; run the recipe to its end",
                file=sys.stderr,
            )
    if as_json:
        print(text, end="")
        return
    closing_table(summary)
    print(f"report: {folder / 'report.html'}")


def run_folder(run: str, workdir: Path) -> Path:
    """The folder of a run, given by its name or by a path."""
    for folder in (Path(run), workdir / "runs" / run):
        if (folder / "summary.json").is_file():
            return folder
    runs = sorted(path for path in (workdir / "runs").glob("*") if path.is_dir())
    finished = [path.name for path in runs if (path / "summary.json").is_file()]
    there = f"finished runs there: {', '.join(finished) or 'none'}"
    for folder in (Path(run), workdir / "runs" / run):
        if folder in runs or any((folder / stage).is_dir() for stage in ("teacher", "distill")):
            raise BadInput(f"the run {run} is not finished: run its recipe to the end; {there}")
    raise BadInput(f"no finished run {run!r} in {workdir}; {there}")


def init_command(folder: Path) -> None:
    """Write recipe.toml, never over one that is there."""
    from .recipe_file import find_recipe

    path = folder / "recipe.toml"
    if path.exists():
        raise BadInput(f"{path} exists; it is left as it is. Give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(find_recipe("imagefolder").read_text().replace("my.toml", "recipe.toml"))
    print(f"wrote {path}; change the lines marked CHANGE, then: edgestill plan {path}")


def schema_command(of: str) -> None:
    """Print the JSON Schema of a recipe, a contract or a check's report."""
    from importlib.resources import files

    from ..export.contract import Contract
    from .recipe import Recipe

    if of == "check":
        print(files("edgestill.export").joinpath("check.schema.json").read_text("utf-8"), end="")
    elif of == "contract":
        schema = Contract.model_json_schema()
        told: dict[str, object] = {"type": "object", "required": ["check"]}
        told |= {"properties": {"check": {"$ref": "#/$defs/Contract"}}}
        told |= {"additionalProperties": False}
        kept = {name: value for name, value in schema.items() if name != "$defs"}
        print(json.dumps({**told, "$defs": {**schema["$defs"], "Contract": kept}}, indent=2))
    elif of == "recipe":
        print(json.dumps(Recipe.model_json_schema(), indent=2))
    else:
        raise BadInput(f"schema {of}: expected recipe, contract or check")
