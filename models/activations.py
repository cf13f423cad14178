"""Activations in the form that integer kernels have: a gate with a known range, and a product.

No runtime has an integer SiLU or Hardswish, but ONNX Runtime has Sigmoid and Mul. Both forms agree
up to a few units in the last place of float32.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

GATES: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.SiLU: torch.sigmoid,
    nn.Hardswish: F.hardsigmoid,
}
GATED: dict[Any, Callable[[Tensor], Tensor]] = {
    F.silu: torch.sigmoid,
    F.hardswish: F.hardsigmoid,
}


class Product(nn.Module):
    """The product of two tensors, at the path of the activation that it is a part of."""

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        return x * gate


def split_activations(traced: fx.GraphModule) -> None:
    """SiLU(x) --> x * sigmoid(x), Hardswish(x) --> x * hardsigmoid(x); in place.

    A module's path then names the product, so what hooked the activation still sees its output.
    """
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        module = modules[node.target] if node.op == "call_module" else None
        gate = GATES.get(type(module)) if module is not None else GATED.get(node.target)
        if gate is None:
            continue
        x = node.all_input_nodes[0]
        with traced.graph.inserting_before(node):
            opened = traced.graph.call_function(gate, (x,))
        opened.meta = dict(node.meta)
        if module is None:
            node.target = operator.mul
        elif isinstance(traced.get_submodule(node.target), type(module)):
            traced.set_submodule(node.target, Product())
        node.args, node.kwargs = (x, opened), {}
