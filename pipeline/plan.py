"""What a run would do: for each stage, reuse or run, and why. Loads no heavy package."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .events import JSON
from .fingerprint import fingerprint
from .flow import Stage, upto
from .manifest import SCRATCH, Damaged, Manifest
from .outside import outside_files
from .recipe import Recipe
from .store import Artifact, Store, artifact_key, last_manifest


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage's decision."""

    stage: Stage
    key: str | None
    """None while an input is still to be made."""
    why: str
    settings: dict[str, JSON] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    """Content hashes, as the key has them."""
    artifact: Artifact | None = None
    """The artifact that is reused; None: the stage runs."""
    damaged: bool = False
    """Whether an artifact stands under the key but is not whole."""


class Workdir:
    """The work directory of a recipe: its store, and the links to what its last run made."""

    def __init__(self, root: Path, recipe: Recipe) -> None:
        self.root = root
        self.recipe = recipe
        self.store = Store(root / "store")
        self.run = root / "runs" / recipe.name

    def data_fingerprints(self) -> dict[str, str]:
        """Content hashes of the data that the recipe reads, by split."""
        cache = self.root / "fingerprints.json" if self.root.is_dir() else None
        return {
            split: fingerprint(self.recipe.data, base=Path(), cache=cache, split=split)
            for split in ("train", "test")
        }

    def decide(self, stage: Stage, made: Mapping[str, Artifact], data: Mapping[str, str]) -> Step:
        """Whether `stage` runs, given the artifacts `made` so far and the data's hashes."""
        return self.look_up(self.wanted(stage, made, data))

    def wanted(self, stage: Stage, made: Mapping[str, Artifact], data: Mapping[str, str]) -> Step:
        """The key of what `stage` is to make; whether it stands is still to be looked up."""
        pending = [need for need in stage.needs if need not in made]
        if pending:
            return Step(stage=stage, key=None, why=f"after {', '.join(pending)}")
        settings = {part: self.recipe.part(part) for part in stage.reads}
        inputs = self.inputs_of(stage, made, data)
        key = artifact_key(stage.name, stage.version, settings, inputs)
        return Step(stage=stage, key=key, why="", settings=settings, inputs=inputs)

    def look_up(self, wanted: Step) -> Step:
        """`wanted` with its artifact, or with the reason why it must be made."""
        stage, key = wanted.stage, wanted.key
        if key is None:
            return wanted
        try:
            artifact = self.store.find(stage.name, key)
        except Damaged as fault:
            return replace(wanted, why=f"damaged: {fault}", damaged=True)
        if artifact is not None:
            return replace(wanted, artifact=artifact)
        last = last_manifest(self.run / stage.name)
        why = "no artifact yet"
        if last is not None:
            why = _difference(stage, wanted.settings, wanted.inputs, last)
        if any((self.store.root / stage.name / f"{key}.work" / SCRATCH).glob("*")):
            why = "goes on where it was interrupted"
        return replace(wanted, why=why)

    def inputs_of(
        self, stage: Stage, made: Mapping[str, Artifact], data: Mapping[str, str]
    ) -> dict[str, str]:
        """Content hashes of what goes into `stage`, by name."""
        inputs = {need: made[need].manifest.content for need in stage.needs}
        inputs |= {f"{split} data": data[split] for split in stage.data}
        for part in stage.reads:
            for what, content in outside_files(part, self.recipe.part(part)).items():
                inputs[f"{part}.{what}"] = content
        if stage.on_device:
            inputs["machine"] = this_machine()
        return inputs


def plan(recipe: Recipe, workdir: Path, until: str | None = None) -> Iterator[Step]:
    """The decisions of a run of `recipe`, in order; nothing is made or moved."""
    place = Workdir(workdir, recipe)
    data = place.data_fingerprints()
    made: dict[str, Artifact] = {}
    for stage in upto(until):
        step = place.decide(stage, made, data)
        if step.artifact is not None:
            made[stage.name] = step.artifact
        yield step


def this_machine() -> str:
    """What a local measurement belongs to: host, processor and the runtime that is timed."""
    runtime = importlib.metadata.version("onnxruntime")
    return f"{platform.node()} {_processor()} onnxruntime {runtime}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()} {names[0] if names else ''} x{len(names)}"


def _difference(
    stage: Stage, settings: Mapping[str, JSON], inputs: Mapping[str, str], last: Manifest
) -> str:
    """Why the last artifact does not serve: `quantize.epochs 3 -> 4`, `distill is new`."""
    reasons = [
        f"{name} {_short(old)} -> {_short(new)}"
        for name, old, new in _changes("", last.settings, dict(settings))
    ]
    reasons += [f"{name} is new" for name in inputs if inputs[name] != last.inputs.get(name)]
    if last.version != stage.version:
        reasons.append(f"stage version {last.version} -> {stage.version}")
    return ", ".join(reasons) or "its artifact is gone"


def _changes(trail: str, old: JSON, new: JSON) -> Iterator[tuple[str, JSON, JSON]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            name = f"{trail}.{key}" if trail else key
            yield from _changes(name, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _changes(f"{trail}.{index}", *pair)
    elif old != new:
        yield trail, old, new


def _short(value: JSON) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
