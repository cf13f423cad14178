"""Tracing: a network as an fx graph; a module that torch.fx cannot follow is one node of it."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Collection
from typing import Any

from torch import fx, nn

from .canonical import plain_modules
from .errors import BadInput
from .same_padding import SamePad2d

# What Python code raises when it meets a proxy where it needs a number.
ERRORS = (
    TypeError,
    ValueError,
    RuntimeError,
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
)
MOST_UNTRACED = 64
"""Every module that cannot be traced costs another attempt, a fraction of a second each."""


def trace(model: nn.Module) -> tuple[fx.GraphModule, dict[str, str]]:
    """`model` copied, in eval mode, as an fx graph; and why modules by path could not be traced.

    These modules, the smallest whose own forward fails, are called as they are.

    Raises `BadInput` if it is the outermost forward that cannot be traced.
    """
    copied = copy.deepcopy(model).eval()
    plain_modules(copied)
    untraced: dict[str, str] = {}
    while True:
        tracer = _Tracer(untraced)
        try:
            graph = tracer.trace(copied)
        except ERRORS as error:
            reason = " ".join(str(error).split())[:200]
            if tracer.failed is None or len(untraced) == MOST_UNTRACED:
                raise BadInput(
                    f"{type(model).__name__} cannot be traced by torch.fx ({reason}); "
                    "its forward must not branch on tensor values"
                ) from error
            untraced[tracer.failed] = reason
        else:
            called = {node.target for node in graph.nodes if node.op == "call_module"}
            traced = fx.GraphModule(copied, graph, type(model).__name__)
            return traced, {path: why for path, why in untraced.items() if path in called}


class _Tracer(fx.Tracer):
    """Remembers in `failed` the innermost module whose forward raised."""

    def __init__(self, opaque: Collection[str]) -> None:
        # The shape of a weight is a number here, so code that computes with it can be traced.
        super().__init__(autowrap_functions=_kept_whole(), param_shapes_constant=True)
        self.opaque = opaque
        self.failed: str | None = None

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return (
            module_qualified_name in self.opaque
            or isinstance(m, SamePad2d)
            or super().is_leaf_module(m, module_qualified_name)
        )

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        try:
            return super().call_module(m, forward, args, kwargs)
        except ERRORS:
            if self.failed is None:
                self.failed = self.path_of_module(m)
            raise


def _kept_whole() -> tuple[Callable[..., Any], ...]:
    """Functions that compute with sizes, each one node of the graph; `canonical` replaces them."""
    timm = sys.modules.get("timm.layers.padding")
    return () if timm is None else (timm.pad_same,)
