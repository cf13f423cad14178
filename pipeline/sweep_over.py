"""What a sweep varies: `--over KEY=V1,V2` read, crossed, and each run named by its values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from ..models.errors import BadInput
from .recipe import Recipe
from .recipe_file import load_recipe

MOST_RUNS = 1000
LONGEST_NAME = 120  # file systems allow 255 bytes; the report's temporary names add a few


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One run of a sweep, before it began."""

    overrides: Mapping[str, str]
    """{key: value} as they were written after --over."""
    recipe: Recipe
    """The recipe with these values, under the run's own name."""

    @property
    def name(self) -> str:
        return self.recipe.name


def planned_runs(
    source: str, over: Sequence[str], changes: Sequence[str] = ()
) -> tuple[str, tuple[Planned, ...]]:
    """The sweep's name, which is its recipe's, and its runs: every combination of the values.

    The last `over` varies fastest. `changes`: as of `--set`, the same for all runs.

    Raises:
        BadInput: a value, a key or the recipe cannot be used; nothing has been run.
    """
    varied = [parse_over(text) for text in over]
    if not varied:
        raise BadInput("a sweep varies something; give --over KEY=V1,V2, as --over seed=0,1,2")
    _refuse_overlap([key for key, _ in varied], changes)
    base = load_recipe(source, changes)
    grid = [
        dict(zip((key for key, _ in varied), values, strict=True))
        for values in product(*(values for _, values in varied))
    ]
    if len(grid) > MOST_RUNS:
        raise BadInput(f"--over asks for {len(grid):,} runs; a sweep has at most {MOST_RUNS:,}")
    names = run_names(base.name, grid)
    runs = tuple(
        Planned(overrides=overrides, recipe=_loaded(source, changes, overrides, name))
        for overrides, name in zip(grid, names, strict=True)
    )
    _refuse_twins(runs)
    return base.name, runs


def parse_over(text: str) -> tuple[str, tuple[str, ...]]:
    """The key and its values; commas inside quotes and brackets are parts of a value.

    >>> parse_over("budget.macs=5M,15M")
    ('budget.macs', ('5M', '15M'))
    >>> parse_over('export.targets=["ort-x86"],["ort-x86", "tensorrt"]')
    ('export.targets', ('["ort-x86"]', '["ort-x86", "tensorrt"]'))
    """
    key, equals, listed = text.partition("=")
    key = ".".join(step.strip() for step in key.split("."))
    values = tuple(value.strip() for value in _at_commas(listed, text))
    if not equals or not all(key.split(".")) or not all(values):
        raise BadInput(f"--over {text}: expected KEY=V1,V2, as --over budget.macs=5M,15M")
    if key == "name":
        raise BadInput(f"--over {text}: a sweep names its runs itself; leave out name")
    for value in values:
        if values.count(value) > 1:
            raise BadInput(f"--over {text}: {value} stands twice; give each value once")
    return key, values


def run_names(recipe: str, grid: Sequence[Mapping[str, str]]) -> list[str]:
    """A folder name for each run: its values where they can be read, else its number.

    >>> run_names("digits", [{"budget.macs": "5M"}, {"budget.macs": "15M"}])
    ['digits-macs-5M', 'digits-macs-15M']
    """
    short = _short_keys(list(grid[0]))
    names = []
    for overrides in grid:
        words = [f"{short[key]}-{value}" for key, value in overrides.items()]
        names.append(re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join((recipe, *words))).rstrip("-."))
    folded = {name.casefold() for name in names}  # some file systems see no capitals
    if len(folded) < len(names) or max(map(len, names)) > LONGEST_NAME:
        digits = len(str(len(grid)))
        return [f"{recipe}-{number:0{digits}}" for number in range(1, len(grid) + 1)]
    return names


def _short_keys(keys: Sequence[str]) -> dict[str, str]:
    """{key: its last word}, or the whole key where two end alike."""
    last = [key.rpartition(".")[2] for key in keys]
    return {
        key: word if last.count(word) == 1 else key for key, word in zip(keys, last, strict=True)
    }


def _at_commas(listed: str, text: str) -> list[str]:
    """`listed` split at its commas, those inside quotes and brackets apart."""
    parts, open_brackets, quote = [""], "", ""
    for letter in listed:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{(":
            open_brackets += letter
        elif letter in "]})":
            if open_brackets[-1:] != "[{("["]})".index(letter)]:
                raise BadInput(f"--over {text}: {letter!r} closes nothing")
            open_brackets = open_brackets[:-1]
        elif letter == "," and not open_brackets:
            parts.append("")
            continue
        parts[-1] += letter
    if quote or open_brackets:
        raise BadInput(f"--over {text}: {quote or open_brackets[-1]!r} is never closed")
    return parts


def _refuse_overlap(keys: Sequence[str], changes: Sequence[str]) -> None:
    """A value that two options give would be the last one's, without a word."""
    fixed = [
        ".".join(step.strip() for step in each.partition("=")[0].split(".")) for each in changes
    ]
    for index, key in enumerate(keys):
        for option, others in (("--over", keys[:index]), ("--set", fixed)):
            for other in others:
                if f"{other}.".startswith(f"{key}.") or f"{key}.".startswith(f"{other}."):
                    raise BadInput(f"--over {key} and {option} {other} both give it; give it once")


def _loaded(source: str, changes: Sequence[str], overrides: Mapping[str, str], name: str) -> Recipe:
    own = [f"{key}={value}" for key, value in overrides.items()]
    try:
        return load_recipe(source, [*changes, *own, f'name="{name}"'])
    except BadInput as error:
        line = str(error)
        for change in own:
            line = line.replace(f"--set {change}", f"--over {change}")
        raise BadInput(line) from None


def _refuse_twins(runs: Sequence[Planned]) -> None:
    seen: dict[str, str] = {}
    for run in runs:
        told = run.recipe.model_copy(update={"name": ""}).model_dump_json()
        if told in seen:
            raise BadInput(f"--over: {seen[told]} and {run.name} are the same run; give it once")
        seen[told] = run.name
