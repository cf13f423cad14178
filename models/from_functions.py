"""F.conv2d(x, weight, ...) --> nn.Conv2d, and so on: functions that read parameters, as modules."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, fx, nn

CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
TRANSPOSED = (*CONVOLUTION[:5], "output_padding", "groups", "dilation")
NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")

# function -> the names of its arguments; those of C functions cannot be asked for
ARGUMENTS: dict[Callable[..., Any] | str, tuple[str, ...]] = {
    F.conv1d: CONVOLUTION,
    F.conv2d: CONVOLUTION,
    F.conv3d: CONVOLUTION,
    F.conv_transpose2d: TRANSPOSED,
    F.linear: CONVOLUTION[:3],
    F.batch_norm: NORM,
}
CONVOLUTIONS: dict[Callable[..., Any] | str, type[nn.Module]] = {
    F.conv1d: nn.Conv1d,
    F.conv2d: nn.Conv2d,
    F.conv3d: nn.Conv3d,
    F.conv_transpose2d: nn.ConvTranspose2d,
}
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
TENSORS = ("weight", "bias", "running_mean", "running_var")


def modules_from_functions(traced: fx.GraphModule) -> None:
    """Rewrites `traced` in place; parameters keep their names where the module that held them can.

    A function stays where its weight is computed rather than a parameter, or a BatchNorm function
    normalizes by the batch.
    """
    calls: dict[tuple[Any, ...], list[fx.Node]] = {}
    for node in traced.graph.nodes:
        if node.op == "call_function" and node.target in ARGUMENTS:
            named = _arguments(node)
            # The same function of the same parameters is one module, called several times.
            key = (node.target, *((name, str(v)) for name, v in named.items() if name != "input"))
            calls.setdefault(key, []).append(node)
    made = [(module, nodes) for nodes in calls.values() if (module := _module(traced, nodes[0]))]
    # Before anything is rewritten: a module that holds several things is not replaced by one.
    paths = _paths(traced, [nodes for _, nodes in made])
    for path, (module, nodes) in zip(paths, made, strict=True):
        traced.add_submodule(path, module.train(traced.training))
        for node in nodes:
            _call(node, path)


def _call(node: fx.Node, path: str) -> None:
    """Lets the module at `path` compute what `node` does, and erases `node`."""
    with node.graph.inserting_before(node):
        call = node.graph.call_module(path, (_arguments(node)["input"],))
    call.meta = dict(node.meta)
    node.replace_all_uses_with(call)
    read = node.all_input_nodes
    node.graph.erase_node(node)
    for value in read:
        if value.op == "get_attr" and not value.users:
            node.graph.erase_node(value)


def _arguments(node: fx.Node) -> dict[str, Any]:
    names = ARGUMENTS[node.target]
    return dict(zip(names, node.args, strict=False)) | node.kwargs


def _module(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The module that computes `node`; None if there is none."""
    given = _arguments(node)
    tensors: dict[str, Tensor | None] = {}
    for name in TENSORS:
        value = given.pop(name, None)
        if isinstance(value, fx.Node) and value.op == "get_attr":
            tensors[name] = reduce(getattr, str(value.target).split("."), traced)  # type: ignore[assignment]
        elif value is None:
            tensors[name] = None
        else:
            return None
    del given["input"]
    if any(isinstance(value, fx.Node) for value in given.values()):
        return None
    weight = tensors["weight"]
    if node.target is F.batch_norm:
        made = _norm(node, given, tensors)
    elif weight is None:
        return None
    elif node.target is F.linear:
        made = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    else:
        groups = given.get("groups", 1)
        transposed = node.target is F.conv_transpose2d
        inside, outside = weight.shape[:2] if transposed else (weight.shape[1], weight.shape[0])
        made = CONVOLUTIONS[node.target](
            inside if transposed else inside * groups,
            outside * groups if transposed else outside,
            tuple(weight.shape[2:]),
            bias=False,
            device="meta",
            **given,
        )
    if made is None:
        return None
    for name, tensor in tensors.items():
        if name in made._buffers:
            made._buffers[name] = tensor
        elif tensor is None or isinstance(tensor, nn.Parameter):
            made.register_parameter(name, tensor)
        else:
            made.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
    return made


def _norm(
    node: fx.Node, given: dict[str, Any], tensors: dict[str, Tensor | None]
) -> nn.Module | None:
    mean = tensors["running_mean"]
    if given.get("training", False) or mean is None:
        return None
    # The rank of its input is that of the module which called the function.
    *_, (_, caller) = node.meta.get("nn_module_stack", {"": ("", None)}).values()
    kinds = [kind for kind in NORMS if isinstance(caller, type) and issubclass(caller, kind)]
    if not kinds:
        return None
    norm = kinds[0](
        len(mean),
        eps=given.get("eps", 1e-5),
        momentum=given.get("momentum", 0.1),
        device="meta",
    )
    norm.num_batches_tracked = mean.new_zeros(()).long()
    return norm


def _paths(traced: fx.GraphModule, calls: list[list[fx.Node]]) -> list[str]:
    """Where the modules go: to the path of the module that held the weight, if it held no more."""
    readers: dict[str, set[fx.Node]] = {}
    for node in traced.graph.nodes:
        if node.op in ("get_attr", "call_module"):
            users = set(node.users) if node.op == "get_attr" else {node}
            holders = str(node.target).split(".")[:-1]
            for depth in range(1, len(holders) + 1):
                readers.setdefault(".".join(holders[:depth]), set()).update(users)
    taken = {path for path, _ in traced.named_modules()}
    paths = []
    for nodes in calls:
        given = _arguments(nodes[0])
        holder, _, name = str((given["weight"] or given["running_mean"]).target).rpartition(".")
        path = holder
        if not holder or name != "weight" or not readers[holder] <= set(nodes):
            word = cast(Any, nodes[0].target).__name__
            word = word if name in TENSORS else f"{name}_{word}"
            path = f"{holder}.{word}" if holder else word
            while path in taken:
                path += "_"
        taken.add(path)
        paths.append(path)
    return paths
