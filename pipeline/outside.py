"""Files that a recipe names beside its data: weights and modules of the user's own, by content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..models.errors import BadInput
from .manifest import sha256_of
from .sources.custom import located

LIBRARIES = ("torchvision", "timm")


def outside_files(part: Any) -> dict[str, str]:
    """{what: sha256} of the checkpoint and the module that a recipe's table names.

    Raises:
        BadInput: a file or module that is named is not there.
    """
    if not isinstance(part, dict):
        return {}
    found = {}
    if part.get("checkpoint"):
        found["checkpoint"] = _file(Path(part["checkpoint"]))
    library, colon, _ = str(part.get("model") or "").partition(":")
    if colon and library not in LIBRARIES:
        found["module"] = _file(located(library, Path()))
    return found


def _file(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
