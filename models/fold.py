"""Folding: the traced network with every BatchNorm merged into the layer beside it.

What is fine-tuned with fake quantization and exported is this network, since the integer kernels of
every runtime see one convolution with one bias, never a BatchNorm.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .branches import merge_branches
from .canonical import canonical
from .errors import BadInput
from .merge_norm import norm_into_layer_before, norm_into_layer_behind
from .tracing import trace

# The types themselves: a subclass that could not be traced may compute anything with its weight.
CONVOLUTIONS: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
LAYERS = (*CONVOLUTIONS, nn.ConvTranspose2d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def fold_batch_norm(model: nn.Module, *, blocks: tuple[str, ...] | None = None) -> fx.GraphModule:
    """A traced copy of `model` in eval mode whose BatchNorms are folded; `model` is not touched.

    A BatchNorm goes into the convolution or linear layer before it, else into the one behind it.
    It stays where neither can take it in, and the copy's `kept_float` says why, by module path; so
    it does for a module that torch.fx cannot trace, which is called as it is (see `tracing`).

    `blocks` names modules whose outputs are distillation features (None: those that a family's
    network names itself); the copy's `feature_paths` names the same outputs. A path that does not
    outlive tracing and folding (a container, a BatchNorm, a module called twice) is replaced by an
    identity module at the same output.

    `nn.Dropout` drops again in the copy's training mode; functions that drop were traced in eval
    mode and are gone.

    Raises `BadInput` if the outermost forward cannot be traced (control flow that depends on tensor
    values).
    """
    if blocks is None:
        blocks = feature_paths(model)
    traced, untraced = trace(merge_branches(model))
    folded = canonical(traced, keep=blocks)
    taps = _insert_taps(folded, blocks)
    kept = {path: f"cannot be traced: {why}" for path, why in untraced.items()} | _fold(folded)
    folded.delete_all_unused_submodules()
    folded.graph.lint()
    folded.recompile()
    annotate(folded, feature_paths=taps, kept_float=kept, untraced=tuple(untraced))
    return folded


def annotate(traced: fx.GraphModule, **values: Any) -> None:
    """Sets attributes of `traced` in the way that a deepcopy of a GraphModule keeps."""
    # Not `blocks` among them: many networks of others have a child module of that name.
    for name, value in values.items():
        setattr(traced, name, value)
    traced.meta.setdefault("_user_preserved_attributes", {}).update(values)


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


def _fold(traced: fx.GraphModule) -> dict[str, str]:
    """Folds what can be folded; the paths of the BatchNorms that stay, each with the reason."""
    modules = dict(traced.named_modules())
    calls = Counter(str(node.target) for node in traced.graph.nodes if node.op == "call_module")
    kept = {}
    for node in list(traced.graph.nodes):
        if not _is_norm(node, modules):
            continue
        norm = cast(_BatchNorm, modules[str(node.target)])
        layer, refusal = _layer_before(node, norm, modules, calls)
        merged = None if refusal else norm_into_layer_before(modules[layer], norm)
        if refusal and norm.running_mean is not None:
            layer = _layer_behind(node, modules, calls)
            merged = norm_into_layer_behind(norm, modules[layer]) if layer else None
        if merged is None:
            kept[str(node.target)] = refusal
            continue
        modules[layer] = merged
        traced.set_submodule(layer, merged)
        node.replace_all_uses_with(node.all_input_nodes[0])
        traced.graph.erase_node(node)
    return kept


def _is_norm(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    return node.op == "call_module" and type(modules[str(node.target)]) in NORMS


def _layer_before(
    node: fx.Node, norm: _BatchNorm, modules: dict[str, nn.Module], calls: Counter[str]
) -> tuple[str, str]:
    """The path of the layer that BatchNorm `node` goes into, and "" or why it cannot."""
    before = node.all_input_nodes[0]
    path = str(before.target)
    layer = modules[path] if before.op == "call_module" else None
    if norm.running_mean is None:
        return path, "it normalizes by the batch, not by constants"
    if type(layer) not in LAYERS:
        name = path if before.op == "call_module" else before.name
        return path, f"it normalizes {name}, which is no convolution or linear layer"
    if isinstance(layer, nn.Linear) and (
        not isinstance(norm, nn.BatchNorm1d) or layer.out_features != norm.num_features
    ):
        return path, f"it does not normalize the channels of {path}"
    if isinstance(layer, nn.ConvTranspose2d) and layer.groups > 1:
        return path, f"{path} is a transposed convolution in groups"
    if len(before.users) > 1:
        return path, f"{path} is read elsewhere too"
    if calls[path] > 1:  # not followed by this BatchNorm everywhere
        return path, f"{path} is called {calls[path]} times"
    return path, ""


def _layer_behind(node: fx.Node, modules: dict[str, nn.Module], calls: Counter[str]) -> str:
    """The path of the convolution that alone reads BatchNorm `node`, unpadded; "" if none does."""
    readers = list(node.users)
    if len(readers) != 1 or readers[0].op != "call_module" or calls[str(readers[0].target)] > 1:
        return ""
    path = str(readers[0].target)
    layer = modules[path]
    # The zeros of a padding are put in behind the BatchNorm, which would have moved them.
    padding: Any = getattr(layer, "padding", 0)
    unpadded = type(layer) in CONVOLUTIONS and (padding == "valid" or not any(padding))
    return path if unpadded and calls[str(node.target)] == 1 else ""


def _insert_taps(traced: fx.GraphModule, blocks: tuple[str, ...]) -> tuple[str, ...]:
    """`blocks`, with identity modules at the outputs of those that cannot be hooked."""
    modules = dict(traced.named_modules())
    calls = Counter(str(node.target) for node in traced.graph.nodes if node.op == "call_module")
    # What a BatchNorm reads would be merged with it.
    normed = {str(node.args[0]) for node in traced.graph.nodes if _is_norm(node, modules)}
    names = []
    for path in blocks:
        output = _output_of(traced.graph, path)
        if output is None:
            raise BadInput(f"block {path!r} is not a module that the network's forward calls")
        if calls[path] == 1 and not _is_norm(output, modules) and output.name not in normed:
            names.append(path)
            continue
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
