"""Folding: the traced network with every BatchNorm merged into the convolution before it.

What is fine-tuned with fake quantization and exported is this network, since the integer kernels of
every runtime see one convolution with one bias, never a BatchNorm.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import cast

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from .errors import BadInput

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def fold_batch_norm(model: nn.Module, *, blocks: tuple[str, ...] | None = None) -> fx.GraphModule:
    """A traced copy of `model` in eval mode whose BatchNorms are folded; `model` is not touched.

    A BatchNorm stays where nothing can take it in: its input is not a convolution or linear layer,
    that layer is read or called elsewhere too, or it keeps no running statistics.

    `blocks` names modules whose outputs are distillation features (None: those that a family's
    network names itself); the copy's `feature_paths` names the same outputs. A path that does not
    outlive tracing and folding (a container, a BatchNorm, a module called twice) is replaced by an
    identity module at the same output.

    Raises `BadInput` if the forward cannot be traced (control flow that depends on tensor values).
    """
    if blocks is None:
        blocks = feature_paths(model)
    folded = trace(model)
    taps = _insert_taps(folded, blocks)
    _fold(folded)
    folded.delete_all_unused_submodules()
    folded.graph.lint()
    folded.recompile()
    keep_blocks(folded, taps)
    return folded


def trace(model: nn.Module) -> fx.GraphModule:
    """`model` copied, in eval mode, as an fx graph."""
    copied = copy.deepcopy(model).eval()
    try:
        return fx.symbolic_trace(copied)
    except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(
            f"{type(model).__name__} cannot be traced by torch.fx ({reason}); "
            "its forward must not branch on tensor values"
        ) from error


def keep_blocks(traced: fx.GraphModule, blocks: tuple[str, ...]) -> None:
    """Sets `traced.feature_paths` in the way that a deepcopy of a GraphModule keeps."""
    if blocks:
        # Not `blocks`: many networks of others have a child module of that name.
        traced.feature_paths = blocks  # type: ignore[assignment]  # torch types attributes as Tensor
        traced.meta["_user_preserved_attributes"] = {"feature_paths": blocks}


def feature_paths(model: nn.Module) -> tuple[str, ...]:
    """Module paths of the features to distill: a folded network's, or a family's own `blocks`."""
    named = getattr(model, "feature_paths", None) or getattr(model, "blocks", None)
    return named if isinstance(named, tuple) else ()


def insert_after(traced: fx.GraphModule, node: fx.Node, name: str, module: nn.Module) -> None:
    """Adds `module` as `name` and lets all users of `node` read its output instead."""
    traced.add_submodule(name, module)
    with traced.graph.inserting_after(node):
        inserted = traced.graph.call_module(name, (node,))
    node.replace_all_uses_with(inserted)
    inserted.args = (node,)  # the line above has replaced this one use too


def _fold(traced: fx.GraphModule) -> None:
    modules = dict(traced.named_modules())
    calls = Counter(str(node.target) for node in traced.graph.nodes if node.op == "call_module")
    for node in list(traced.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[str(node.target)], _BatchNorm):
            continue
        norm, before = modules[str(node.target)], node.args[0]
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        path = str(before.target)
        # A layer called twice is not followed by this BatchNorm everywhere; batch statistics
        # (no running ones) are not constants.
        if calls[path] > 1 or norm.running_mean is None:
            continue
        layer = modules[path]
        if isinstance(layer, CONVOLUTIONS):
            merged: nn.Module = fuse_conv_bn_eval(layer, cast(_BatchNorm, norm))
        elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
            merged = fuse_linear_bn_eval(layer, norm)
        else:
            continue
        # torch makes the new bias of a layer without one untrainable, though it stands for that of
        # the BatchNorm, which is trained with the weight.
        assert isinstance(merged.bias, nn.Parameter) and isinstance(merged.weight, nn.Parameter)
        merged.bias.requires_grad_(merged.weight.requires_grad)
        modules[path] = merged
        traced.set_submodule(path, merged)
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)


def _insert_taps(traced: fx.GraphModule, blocks: tuple[str, ...]) -> tuple[str, ...]:
    """`blocks`, with identity modules at the outputs of those that cannot be hooked."""
    modules = dict(traced.named_modules())
    calls = Counter(str(node.target) for node in traced.graph.nodes if node.op == "call_module")
    names = []
    for path in blocks:
        if calls[path] == 1 and not isinstance(modules[path], _BatchNorm):
            names.append(path)
            continue
        output = _output_of(traced.graph, path)
        if output is None:
            raise BadInput(f"block {path!r} is not a module that the network's forward calls")
        name = "tap_" + path.replace(".", "_")
        insert_after(traced, output, name, nn.Identity())
        names.append(name)
    return tuple(names)


def _output_of(graph: fx.Graph, path: str) -> fx.Node | None:
    """The last node computed inside module `path`."""
    found = None
    for node in graph.nodes:
        stack = node.meta.get("nn_module_stack", {})
        if any(inside == path for inside, _ in stack.values()):
            found = node
    return found
