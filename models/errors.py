"""Errors that speak to the user: one line each, and the exit code that belongs to it.

EdgestillError                2
|-- BadInput                  2   a recipe, a file or an argument that cannot be used
|   `-- OutOfMemory           2   memory ran out, or what may be used of it
|-- GateFailed                1   a budget, a check or a regression gate said no
`-- MissingPackage            3   an optional package is not installed
"""

from __future__ import annotations

import importlib
from types import ModuleType


class EdgestillError(Exception):
    """A message for the user: what was found, what was expected, what to do."""

    exit_code = 2


class BadInput(EdgestillError, ValueError):
    """Something the user gave cannot be used."""


class OutOfMemory(BadInput):
    """Memory ran out: nothing is said of what was at work."""


class GateFailed(EdgestillError):
    """Everything ran, and the answer is no."""

    exit_code = 1


class MissingPackage(EdgestillError, ImportError):
    """An optional package is needed and absent."""

    exit_code = 3


def need(module: str, extra: str) -> ModuleType:
    """The imported module, or `MissingPackage` with the command that installs it.

    >>> need("json", "nothing").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackage(
            f"{module} is not installed or does not load ({error});"
            f" install it with: pip install 'edgestill[{extra}]'"
        ) from error
