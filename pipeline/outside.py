"""Files that a recipe names beside its data, by content: the user's weights, modules and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..deploy.power_modes import names_a_table
from ..models.errors import BadInput
from .manifest import sha256_of
from .sources.custom import located

LIBRARIES = ("torchvision", "timm")


def module_hash(model: str) -> str | None:
    """Content hash of the user's own module in a model's name, None for a library or family."""
    return outside_files("model", {"model": model}).get("module")


def outside_files(table: str, part: Any) -> dict[str, str]:
    """{what: sha256} of the files that a recipe's `table`, `part`, names: a checkpoint, a module, a
    latency table.

    Raises:
        BadInput: a file or module that is named is not there.
    """
    if not isinstance(part, dict):
        return {}
    found = {}
    if part.get("checkpoint"):
        found["checkpoint"] = _file(Path(part["checkpoint"]))
    if table == "budget" and names_a_table(part.get("device") or ""):
        found["device"] = _file(Path(part["device"]))
    library, colon, _ = str(part.get("model") or "").partition(":")
    if colon and library not in LIBRARIES:
        found["module"] = _file(_module(library, f"[{table}] model = {part['model']!r}"))
    return found


def _module(name: str, asked: str) -> Path:
    try:
        return located(name, Path())
    except BadInput:
        raise BadInput(
            f"{asked}: no module {name!r} in the current directory or on Python's path"
        ) from None


def _file(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
