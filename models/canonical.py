"""Canonical form: the rewrites that bring a traced network to modules which can be folded.

Each is exact: the network computes the same numbers, up to float32 rounding where it says so.
"""

from __future__ import annotations

import inspect
import operator
import sys
from collections.abc import Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from .from_functions import modules_from_functions
from .same_padding import SamePad2d

# What an assertion computes with; dead once it is gone.
SIZES = (
    getattr,
    *(getattr(operator, name) for name in ("getitem", "eq", "ne", "le", "lt", "ge", "gt")),
)
DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout)


def plain_modules(model: nn.Module) -> None:
    """Rewrites in place what is simpler as modules than as a graph; see the functions below."""
    for path, module in list(model.named_modules()):
        _fix_normed_weights(module)
        if parametrize.is_parametrized(module):
            _fix_parametrizations(module)
        elif (norm := _unfrozen(module)) is not None:
            model.set_submodule(path, norm)


def canonical(traced: fx.GraphModule, *, keep: Collection[str] = ()) -> fx.GraphModule:
    """`traced` rewritten; identity modules with paths in `keep` stay, for they are hooked."""
    _drop_assertions(traced.graph)
    _drop_identities(traced, keep)
    _read_what_was_written(traced)
    _pad_by_modules(traced)
    modules_from_functions(traced)
    traced.graph.lint()
    # A module graph made anew holds the parameters that the graph still reads and no others.
    return fx.GraphModule(traced, traced.graph, type(traced).__name__)


def _fix_parametrizations(module: nn.Module) -> None:
    """A weight computed from others (weight norm, spectral norm) --> the computed weight."""
    # The class made for a parametrized module holds its weight's formula; a copy shares the class,
    # so that removing the formula would break the module that was copied.
    shared = type(module)
    module.__class__ = type(shared.__name__, shared.__bases__, dict(vars(shared)))
    for name in list(module.parametrizations):  # type: ignore[arg-type]  # a ModuleDict
        parametrize.remove_parametrizations(module, name)


def _fix_normed_weights(module: nn.Module) -> None:
    """The same by torch's older functions, which compute the weight in a hook."""
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)


def _unfrozen(module: nn.Module) -> nn.BatchNorm2d | None:
    """torchvision's FrozenBatchNorm2d --> BatchNorm2d with weights that are not trained."""
    loaded = sys.modules.get("torchvision.ops.misc")
    if loaded is None or not isinstance(module, loaded.FrozenBatchNorm2d):
        return None
    values = dict(module.named_buffers())
    eps: Any = module.eps
    norm = nn.BatchNorm2d(len(values["weight"]), eps=eps)
    norm.load_state_dict(values, strict=False)
    return norm.to(values["weight"]).eval().requires_grad_(False)


def _drop_assertions(graph: fx.Graph) -> None:
    """assert x.ndim == 4 --> nothing: it would count as a reader of x."""
    for node in reversed(graph.nodes):
        if node.target is torch._assert or (node.target in SIZES and not node.users):
            graph.erase_node(node)


def _drop_identities(traced: fx.GraphModule, keep: Collection[str]) -> None:
    """identity(x), dropout(x, training=False), stochastic depth likewise --> x.

    `nn.Dropout` stays: in training mode it drops.
    """
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        identity = (
            type(modules[str(node.target)]) is nn.Identity and node.target not in keep
            if node.op == "call_module"
            else node.op == "call_function" and _drops_nothing(node)
        )
        if identity:
            node.replace_all_uses_with(node.all_input_nodes[0])
            traced.graph.erase_node(node)


def _drops_nothing(node: fx.Node) -> bool:
    name = getattr(node.target, "__name__", "")
    if node.target not in DROPOUTS and name != "stochastic_depth":
        return False
    assert callable(node.target)
    given = inspect.signature(node.target).bind(*node.args, **node.kwargs)
    given.apply_defaults()
    return given.arguments["training"] is False


def _read_what_was_written(traced: fx.GraphModule) -> None:
    """f_(x); g(x) --> g(f_(x)): the rewrites of a graph see values, not what overwrites them."""
    modules = dict(traced.named_modules())
    order = {node: place for place, node in enumerate(traced.graph.nodes)}
    for node in traced.graph.nodes:
        if not _in_place(node, modules):
            continue
        value = node.all_input_nodes[0]
        for reader in list(value.users):
            if order[reader] > order[node]:
                reader.replace_input_with(value, node)


def _in_place(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return bool(getattr(modules[str(node.target)], "inplace", False))
    if node.op == "call_method":
        name = str(node.target)
        return name.endswith("_") and not name.endswith("__")
    if node.op == "call_function":
        name = getattr(node.target, "__name__", "")
        written = name.endswith("_") and not name.endswith("__")
        return written or node.kwargs.get("inplace") is True
    return False


def _pad_by_modules(traced: fx.GraphModule) -> None:
    """timm's pad_same(x, kernel, stride, dilation) --> SamePad2d."""
    for node in list(traced.graph.nodes):
        if (
            getattr(node.target, "__module__", "") != "timm.layers.padding"
            or getattr(node.target, "__name__", "") != "pad_same"
        ):
            continue
        given = inspect.signature(node.target).bind(*node.args, **node.kwargs)
        given.apply_defaults()
        sizes = [given.arguments[name] for name in ("kernel_size", "stride", "dilation")]
        if given.arguments["value"] != 0 or any(isinstance(size, fx.Node) for size in sizes):
            continue
        *_, (path, _) = node.meta["nn_module_stack"].values()
        name = f"{path}_pad"
        traced.add_submodule(name, SamePad2d(*sizes))
        with traced.graph.inserting_before(node):
            padded = traced.graph.call_module(name, (given.arguments["x"],))
        padded.meta = dict(node.meta)
        node.replace_all_uses_with(padded)
        traced.graph.erase_node(node)
