"""How much activation memory a traced network needs at once, found by running its graph.

What is counted is what a runtime needs at least: every tensor in float32, the graph run in its own
order, views and elementwise operations in the memory that is already there.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from .cost import FLOAT32_BYTES

# What a runtime computes in its input's own memory, or folds into the operation before it.
IN_PLACE_MODULES: tuple[type[nn.Module], ...] = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.Dropout,
    nn.Dropout2d,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Hardtanh,
    nn.Sigmoid,
    nn.Tanh,
)
IN_PLACE_FUNCTIONS = {
    operator.add,
    operator.iadd,
    operator.sub,
    operator.isub,
    operator.mul,
    operator.imul,
    operator.truediv,
    operator.neg,
    torch.add,
    torch.sub,
    torch.mul,
    torch.div,
    torch.relu,
    torch.sigmoid,
    torch.tanh,
    F.relu,
    F.relu6,
    F.leaky_relu,
    F.elu,
    F.gelu,
    F.silu,
    F.mish,
    F.hardswish,
    F.hardsigmoid,
    F.hardtanh,
    F.sigmoid,
    F.tanh,
    F.dropout,
    F.batch_norm,
}
IN_PLACE_METHODS = {"add", "add_", "sub", "mul", "mul_", "div", "relu", "relu_", "sigmoid", "tanh"}


def peak_activation_bytes(traced: fx.GraphModule, images: Tensor) -> int:
    """Largest sum of the tensors alive during one operation, input and output of it included.

    Float32 bytes, whatever the tensors are; (B, C, H, W) images, so for one image hand in one.
    """
    liveness = _Liveness(traced)
    with torch.no_grad():
        liveness.run(images)
    return liveness.peak_bytes


class _Liveness(fx.Interpreter):
    """Runs the graph and adds up the buffers alive during each operation.

    A buffer lives from the operation that makes it to the last one that reads it. A view shares its
    input's buffer; an elementwise operation takes over the buffer of an input that dies with it.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.peak_bytes = 0
        self._buffers: dict[fx.Node, _Buffer] = {}
        self._last_use: dict[fx.Node, fx.Node] = {}
        for node in traced.graph.nodes:
            for source in node.all_input_nodes:
                self._last_use[source] = node

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.op in ("get_attr", "output"):  # weights are not activations
            return result
        size = _tensor_bytes(result)
        held = [node for node in n.all_input_nodes if node in self._buffers]
        buffer = self._taken_over(n, held, result, size) or _Buffer(size)
        self._buffers[n] = buffer
        alive = {id(b): b.bytes for b in self._buffers.values()}
        self.peak_bytes = max(self.peak_bytes, sum(alive.values()))
        for node in [*held, n]:
            if self._last_use.get(node, n) is n:
                del self._buffers[node]
        return result

    def _taken_over(
        self, node: fx.Node, held: list[fx.Node], result: Any, size: int
    ) -> _Buffer | None:
        for source in held:
            if _storages(self.env[source]) & _storages(result):
                return self._buffers[source]
        if not self._in_place(node):
            return None
        for source in held:
            buffer = self._buffers[source]
            dies = all(
                self._last_use.get(other) is node
                for other, other_buffer in self._buffers.items()
                if other_buffer is buffer
            )
            if dies and buffer.bytes == size:
                return buffer
        return None

    def _in_place(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(self.fetch_attr(str(node.target)), IN_PLACE_MODULES)
        if node.op == "call_function":
            return node.target in IN_PLACE_FUNCTIONS
        return node.op == "call_method" and node.target in IN_PLACE_METHODS


class _Buffer:
    """One stretch of memory that any number of values share."""

    def __init__(self, size: int) -> None:
        self.bytes = size


def _tensor_bytes(value: Any) -> int:
    """Float32 bytes of a tensor or of a nest of tensors; 0 for anything else."""
    if isinstance(value, Tensor):
        return FLOAT32_BYTES * math.prod(value.shape)
    if isinstance(value, tuple | list):
        return sum(map(_tensor_bytes, value))
    return 0


def _storages(value: Any) -> set[int]:
    """Addresses of the memory behind a tensor or a nest of tensors."""
    if isinstance(value, Tensor):
        return {value.untyped_storage().data_ptr()} if value.numel() else set()
    if isinstance(value, tuple | list):
        return set().union(*map(_storages, value))
    return set()
