"""A contract from TOML; a mistake in it names the file, the table and the key."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..models.errors import BadInput
from .contract import Contract, Latency, ParityLimits, PortContract

TABLES: dict[str, type[BaseModel]] = {
    "parity": ParityLimits,
    "latency": Latency,
    "inputs": PortContract,
    "outputs": PortContract,
}
TWO_KINDS = ("int8_fraction",)
"""Keys that take a number or a table."""


def contract_from_toml(path: Path) -> Contract:
    """The contract in `path`, the paths in it taken from that file's folder. `BadInput` if not."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 text (byte {error.start}); expected TOML") from error
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"{path}: not TOML: {' '.join(str(error).split())}") from error
    strangers = [key for key in document if key != "check"]
    if strangers:
        raise BadInput(f"{path}: unknown table [{strangers[0]}]; a contract holds [check] alone")
    if not isinstance(document.get("check"), dict):
        raise BadInput(f"{path}: no [check] table; a contract is written below a line [check]")
    try:
        contract = Contract.model_validate(document["check"])
    except ValidationError as error:
        raise BadInput(f"{path}: {_first(error)}") from error
    return _from_folder(contract, path.parent)


def _from_folder(contract: Contract, folder: Path) -> Contract:
    """`contract` with its paths joined to `folder`; a data source that is no file stays."""
    changes: dict[str, Any] = {
        key: str(folder / value)
        for key in ("model", "reference")
        if (value := getattr(contract, key)) is not None
    }
    if contract.data is not None and contract.data.endswith(".npz"):
        changes["data"] = str(folder / contract.data)
    if contract.latency is not None:
        baseline = str(folder / contract.latency.baseline)
        changes["latency"] = contract.latency.model_copy(update={"baseline": baseline})
    return contract.model_copy(update=changes)


def _first(error: ValidationError) -> str:
    """The first complaint, with its table and key, as one line."""
    # A key of two kinds complains once for each, below its own name: those are one complaint.
    places = {_place(problem["loc"]): problem for problem in reversed(error.errors())}
    (*tables, key), problem = next(iter(reversed(places.items())))
    known = TABLES.get(tables[0], Contract) if tables else Contract
    says = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known.model_fields, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        says = f"unknown key; {hint}known: {', '.join(known.model_fields)}"
    elif problem["type"] == "missing":
        says = "missing; it has no default"
    elif problem["type"] != "value_error" or not isinstance(problem["input"], dict):
        says = f"{says}, found {_short(problem['input'])}"
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    return f"[{'.'.join(('check', *tables))}] {key}: {' '.join(says.split())}{more}"


def _place(loc: Sequence[int | str]) -> tuple[str, ...]:
    parts = tuple(str(part) for part in loc) or ("check",)
    return parts[:1] if parts[0] in TWO_KINDS else parts


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
