"""A run: the flow from first stage to last, reusing what stands and making what does not."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import cast

from .events import JSON, emit, listening
from .flow import Stage, upto
from .inputs import Inputs, OpenOnce, only_declared
from .journal import journal
from .lock import only_run
from .manifest import SCRATCH
from .plan import Step, Workdir
from .processes import ONE, Processes
from .recipe import Recipe
from .run_data import keep_place
from .store import Artifact

PACKAGES = ("torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "numpy")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run came to."""

    artifacts: dict[str, Artifact]
    ran: dict[str, bool]
    """By stage: True if it ran, False if its artifact was reused."""
    folder: Path
    """runs/<recipe name>: links to the artifacts, the report and the summary."""

    @property
    def failed_checks(self) -> tuple[str, ...]:
        """The lines of the check that did not hold; empty if all did or the run ended before it."""
        check = self.artifacts.get("check")
        if check is None or check.manifest.metrics["ok"]:
            return ()
        return tuple(json.loads((check.path / "check.json").read_text())["failed"])


def run(
    recipe: Recipe,
    workdir: Path,
    *,
    until: str | None = None,
    wait: bool = True,
    shared: bool = False,
    processes: Processes = ONE,
) -> Result:
    """Every stage of the flow up to `until`, each reused or made; events tell what happens.

    `shared`: other runs work in `workdir` at the same time, for a sweep that holds it; then only
    the run's own folder is held. An artifact that several want is made by one of them either way.
    `processes`: this one, the first, and those that follow it (`follow.py`).

    Raises:
        EdgestillError: with one line for the user; what was finished before stands.
    """
    processes.share(recipe.data.batch_size)
    place = Workdir(workdir, recipe)
    held = only_run(place.run if shared else workdir, wait=wait)
    with held, listening(journal(place.run / "events.jsonl")):
        emit("run", recipe=recipe.name, workdir=str(workdir))
        data = place.data_fingerprints()
        keep_place(place.run, recipe.data)
        opened = OpenOnce(recipe)
        made: dict[str, Artifact] = {}
        ran: dict[str, bool] = {}
        for stage in upto(until):
            wanted = place.wanted(stage, made, data)
            with place.store.held(stage.name, cast(str, wanted.key)):
                step = place.look_up(wanted)
                ran[stage.name] = step.artifact is None
                if step.artifact is not None:
                    emit("stage", name=stage.name, status="reuse", key=step.key, why=step.why)
                made[stage.name] = step.artifact or _make(place, step, made, opened, processes)
            _link(place.run / stage.name, made[stage.name].path)
        if "report" in made:
            _hand_out(place.run, made, ran)
        return Result(artifacts=made, ran=ran, folder=place.run)


def _make(
    place: Workdir,
    step: Step,
    made: Mapping[str, Artifact],
    opened: OpenOnce,
    processes: Processes,
) -> Artifact:
    stage, key, why = step.stage, cast(str, step.key), step.why
    if step.damaged:
        aside = place.store.set_aside(stage.name, key)
        why += f"; set aside as {aside}"
    emit("stage", name=stage.name, status="run", why=why, key=key)
    began = perf_counter()
    work = place.store.work(stage.name, key)
    inputs = Inputs(
        artifacts={need: made[need] for need in stage.needs},
        scratch=work / SCRATCH,
        processes=processes if stage.trains else ONE,
        _open=opened if stage.data else None,
    )
    if stage.trains and processes.count > 1:
        processes.tell(
            {
                "stage": stage.name,
                "artifacts": {need: str(inputs[need].resolve()) for need in stage.needs},
                "scratch": str(inputs.scratch.resolve()),
            }
        )
    metrics = run_stage(stage, inputs, place.recipe, work)
    seconds = perf_counter() - began
    facts: dict[str, JSON] = {
        "version": stage.version,
        "settings": step.settings,
        "inputs": dict(step.inputs),
        "metrics": metrics,
        "environment": {**environment(), "processes": processes.count},
        "seconds": round(seconds, 3),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    artifact = place.store.publish(stage.name, key, facts)
    emit("stage", name=stage.name, status="done", key=key, seconds=seconds, metrics=metrics)
    return artifact


def run_stage(stage: Stage, inputs: Inputs, recipe: Recipe, out: Path) -> dict[str, JSON]:
    """The metrics of a stage, whose files are left in `out`."""
    inputs.processes.meet(recipe.device)
    module = importlib.import_module(f".stages.{stage.name}", __package__)
    metrics: dict[str, JSON] = module.run(inputs, only_declared(recipe, stage.reads), out)
    return metrics


def environment() -> dict[str, JSON]:
    """Versions and host, read without importing the packages."""
    found: dict[str, JSON] = {"python": platform.python_version()}
    for package in ("edgestill", *PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    torch = sys.modules.get("torch")  # loaded by every stage whose bytes depend on its threads
    found["threads"] = torch.get_num_threads() if torch else None
    return {**found, "host": platform.node(), "platform": platform.platform()}


def _link(link: Path, folder: Path) -> None:
    """Point `link` at an artifact, replacing what it pointed at in one step."""
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.relpath(folder, link.parent))
    os.replace(fresh, link)


def _hand_out(folder: Path, made: Mapping[str, Artifact], ran: Mapping[str, bool]) -> None:
    """The report and the summary, beside the links, with what this run did to each stage."""
    report = made["report"].path
    for name in ("report.html", "report.md"):
        shutil.copyfile(report / name, folder / f".{name}.new")
        os.replace(folder / f".{name}.new", folder / name)
    summary = json.loads((report / "summary.json").read_text())
    summary["stages"] = {
        name: {
            "key": artifact.manifest.key,
            "status": "ran" if ran[name] else "reused",
            "seconds": artifact.manifest.seconds,
        }
        for name, artifact in made.items()
    }
    summary["artifacts"] = {name: str(artifact.path) for name, artifact in made.items()}
    fresh = folder / ".summary.json.new"
    fresh.write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
    os.replace(fresh, folder / "summary.json")
