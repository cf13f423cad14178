"""A recipe read from TOML, with the command line's changes; errors name file, table and key."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from ..models.errors import BadInput
from .recipe import Recipe

LARGEST_BYTES = 1 << 20


def load_recipe(source: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe in the file `source`, or the shipped one of that name, with `KEY=VALUE` changes.

    Raises:
        BadInput: one line naming the file, the table and the key of what is wrong.
    """
    path = find_recipe(source)
    tree = _parse(path)
    changed: dict[tuple[str | int, ...], str] = {}
    for change in changes:
        changed[_apply(tree, change)] = change
    try:
        # JSON's rules: a list is a tuple, but "5" is no number. Dates become text and are refused.
        return Recipe.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise BadInput(_explain(error, path, changed)) from None


def shipped_recipes() -> list[str]:
    """Names of the recipes that travel with the package."""
    folder = resources.files(__package__) / "recipes"
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir())


def find_recipe(source: str) -> Path:
    """The recipe's file: `source` itself, or the shipped recipe of that name."""
    path = Path(source)
    if path.is_dir():
        raise BadInput(f"{source} is a folder; give a recipe file, as {path / 'recipe.toml'}")
    if path.exists():
        return path
    if source in shipped_recipes():
        return Path(str(resources.files(__package__) / "recipes" / f"{source}.toml"))
    known = ", ".join(shipped_recipes())
    raise BadInput(f"no recipe file {source!r}, and none of that name is shipped; shipped: {known}")


def _parse(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
        if len(raw) > LARGEST_BYTES:
            raise BadInput(f"{path}: {len(raw):,} bytes; a recipe has at most {LARGEST_BYTES:,}")
        text = raw.decode()
        return tomllib.loads(text)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise BadInput(f"{path}: nested too deeply for a recipe") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path}: {_place(text, str(error))}: not TOML: {error}") from None


def _place(text: str, message: str) -> str:
    """`[table] key` at the line that the parser complained of, for people who read tables."""
    found = re.search(r"line (\d+)", message)
    lines = text.splitlines()[: int(found[1]) if found else None]
    table, key = "", ""
    for line in lines:
        if header := re.match(r"\s*\[+\s*([^\]\[]+?)\s*\]+", line):
            table, key = header[1], ""
        elif pair := re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line):
            key = pair[1]
    return f"[{table}] {key}".strip() if table else (key or "top level")


def _apply(tree: dict[str, Any], change: str) -> tuple[str | int, ...]:
    dotted, equals, text = change.partition("=")
    steps = [step.strip() for step in dotted.split(".")]
    if not equals or not all(steps):
        raise BadInput(f"--set {change}: expected KEY=VALUE, as --set budget.macs=15M")
    place: Any = tree
    trail: list[str | int] = []
    for step in steps[:-1]:
        if isinstance(place, list):
            place = place[_index(place, step, change)]
        else:
            place = place.setdefault(step, {})
        if not isinstance(place, dict | list):
            raise BadInput(f"--set {change}: {step} is a value, not a table")
        trail.append(int(step) if step.isdecimal() else step)
    last: str | int = steps[-1]
    if isinstance(place, list):
        last = _index(place, steps[-1], change)
    place[last] = _value(text.strip())
    return (*trail, last)


def _index(place: list[Any], step: str, change: str) -> int:
    if not step.isdecimal() or int(step) >= len(place):
        raise BadInput(f"--set {change}: {step!r} is not one of the {len(place)} entries (0 first)")
    return int(step)


def _value(text: str) -> Any:
    """A TOML value where it reads as one, else the text itself: `15M` needs no quotes."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if parsed.keys() == {"value"} else text


def _explain(error: ValidationError, path: Path, changed: dict[tuple[str | int, ...], str]) -> str:
    told = error.errors(include_url=False)
    # A list with a bad entry is also told to be too short; that is no fault of its own.
    trails = [each["loc"] for each in told if each["type"] != "too_short"]
    problems = [
        each
        for each in told
        if each["type"] != "too_short"
        or not any(trail[: len(each["loc"])] == each["loc"] for trail in trails)
    ]
    first = problems[0]
    where = tuple(step for step in first["loc"] if not _is_tag(step, first["loc"]))
    origin = str(path)
    for trail, change in changed.items():
        if where[: len(trail)] == trail or trail[: len(where)] == where:
            origin = f"{path} with --set {change}"
    line = f"{origin}: {_spell(where)}: {_say(first, where)}"
    if len(problems) > 1:
        line += f" (and {len(problems) - 1} more)"
    return line


def _is_tag(step: str | int, trail: tuple[str | int, ...]) -> bool:
    """Pydantic puts a union's branch into the trail; it is no key of the recipe's."""
    place = trail.index(step)
    return place > 0 and isinstance(trail[place - 1], int) and "losses" in trail[:place]


def _spell(where: tuple[str | int, ...]) -> str:
    if not where:
        return "top level"
    *tables, key = [str(step) for step in where]
    return f"[{'.'.join(tables)}] {key}" if tables else key


def _say(problem: Any, where: tuple[str | int, ...]) -> str:
    if problem["type"] == "extra_forbidden":
        known = _known(where[:-1])
        near = difflib.get_close_matches(str(where[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"unknown key; {hint}known: {', '.join(known)}"
    if problem["type"] == "missing":
        return "missing; it has no default"
    if problem["type"] == "union_tag_invalid":
        known = [tag.strip(" '") for tag in problem["ctx"]["expected_tags"].split(",")]
        near = difflib.get_close_matches(str(problem["ctx"]["tag"]), known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"unknown name {problem['ctx']['tag']!r}; {hint}known: {', '.join(known)}"
    if problem["type"] == "union_tag_not_found":
        return "the entry has no name; expected { name = ..., weight = ... }"
    if problem["type"] == "device":  # the message has all of the text that may be shown
        return str(problem["msg"])
    given = json.dumps(problem["input"], default=str)
    given = given if len(given) <= 60 else given[:57] + "..."
    return f"{problem['msg'].removeprefix('Value error, ')}; found {given}"


def _known(tables: tuple[str | int, ...]) -> list[str]:
    schema = _schema()
    place = schema
    for step in tables:
        if isinstance(step, int):
            options = place.get("items", place)
            keys: set[str] = set()
            for option in options.get("oneOf", [options]):
                keys |= _resolve(option, schema).get("properties", {}).keys()
            return sorted(keys)
        place = _resolve(place["properties"][step], schema)
    return list(place.get("properties", {}))


@cache
def _schema() -> Any:
    return TypeAdapter(Recipe).json_schema()


def _resolve(node: Any, schema: Any) -> Any:
    for option in node.get("anyOf", []):  # "this or null"
        if option.get("type") != "null":
            return _resolve(option, schema)
    return schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node


def as_json(model: BaseModel) -> str:
    """A model as indented JSON with a final newline."""
    return model.model_dump_json(indent=2) + "\n"
