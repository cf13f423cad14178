"""How a network leaves torch: ONNX, one Q/DQ dialect per runtime, and checks on what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .check import check_model
    from .dialects import write_dialect
    from .to_onnx import onnx_from_model

__all__ = ["check_model", "onnx_from_model", "write_dialect"]


def __getattr__(name: str) -> Any:
    """The three doors, opened when first used: torch and onnx take seconds to import."""
    from importlib import import_module

    homes = {"check_model": "check", "onnx_from_model": "to_onnx", "write_dialect": "dialects"}
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{homes[name]}", __name__), name)
