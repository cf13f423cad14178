"""Features beside the logits: any network's intermediate outputs, by the paths of its modules."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .errors import BadInput
from .modes import in_eval_mode


class Tapped(nn.Module):
    """`model` with the outputs of the modules at `paths`, as (logits, features).

    Features come in the order of `paths`, unpooled and not detached. A module that runs more than
    once gives its last output. The hooks copy with the module and do nothing outside this forward;
    `close` takes them off. Not for use from several threads at once.
    """

    def __init__(self, model: nn.Module, paths: Sequence[str]) -> None:
        super().__init__()
        modules = dict(model.named_modules())
        for path in paths:
            if path not in modules or not path:
                raise BadInput(_no_such_path(path, list(modules)))
        self.model = model
        self.paths = tuple(paths)
        self._shelf = _Shelf()
        self._handles = [
            modules[path].register_forward_hook(_Catch(self._shelf, path)) for path in self.paths
        ]

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) -> logits (B, K) and one feature tensor (B, ...) per path."""
        caught: dict[str, Any] = {}
        self._shelf.outputs = caught
        try:
            logits = self.model(images)
        finally:
            self._shelf.outputs = None
        missing = [path for path in self.paths if path not in caught]
        if missing:
            raise BadInput(
                f"the network does not call the module {missing[0]!r} (a traced network calls only"
                " leaf modules); choose another path"
            )
        features = [caught[path] for path in self.paths]
        for path, feature in zip(self.paths, features, strict=True):
            if not isinstance(feature, Tensor):
                raise BadInput(
                    f"module {path!r} gives a {type(feature).__name__}, not a tensor to distill"
                )
        return logits, features

    def close(self) -> None:
        """Take the hooks off the model."""
        for handle in self._handles:
            handle.remove()


class _Shelf:
    """Where the hooks of one `Tapped` put what they catch; None while nobody asks."""

    outputs: dict[str, Any] | None = None


class _Catch:
    """A forward hook. An object, not a closure: a deep copy of the model then has its own shelf."""

    def __init__(self, shelf: _Shelf, path: str) -> None:
        self.shelf = shelf
        self.path = path

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if self.shelf.outputs is not None:
            self.shelf.outputs[self.path] = output


def find_blocks(model: nn.Module, example: Tensor, count: int) -> tuple[str, ...]:
    """Paths of the `count` deepest features to distill, shallow to deep.

    A network of ours names them itself (`model.blocks`). Of any other: the last module that puts
    out (B, C, H, W) at each spatial resolution, found by running `example` in eval mode; where the
    deepest is a global pool (1x1), the maps that it pools are left out, as graph distillation does.
    """
    named = getattr(model, "blocks", None)
    if isinstance(named, tuple) and all(isinstance(path, str) for path in named):
        found = list(named)
    else:
        found = _last_per_resolution(model, example)
    if count < 1 or len(found) < count:
        raise BadInput(
            f"asked for {count} blocks to distill, the network has {len(found)}:"
            f" {', '.join(found) or 'none'}"
        )
    return tuple(found[-count:])


def _last_per_resolution(model: nn.Module, example: Tensor) -> list[str]:
    """Of each resolution the outermost module that finished last, in the order of finishing.

    Outermost first: a block that goes on to a smaller resolution often widens its input at the old
    one, and that inner tensor is not what a stage puts out.
    """
    last: dict[tuple[int, int], str] = {}

    def note(path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4:
                size = (output.shape[2], output.shape[3])
                if size not in last or path.count(".") <= last[size].count("."):
                    last.pop(size, None)  # to the end of the order
                    last[size] = path

        return hook

    handles = [m.register_forward_hook(note(path)) for path, m in model.named_modules() if path]
    try:
        with torch.no_grad(), in_eval_mode(model):
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    paths = list(last.values())
    if (1, 1) in last:
        pool = paths.index(last[(1, 1)])
        if pool + 1 < len(paths):  # of squeeze-and-excitation, not the pool before the classifier
            del paths[pool]
        elif pool > 0:
            del paths[pool - 1]
    return paths


def _no_such_path(path: str, known: list[str]) -> str:
    near = difflib.get_close_matches(path, known, n=3)
    if not near:
        near = [name for name in known if name and "." not in name][:6]
    return f"the network has no module {path!r}; near: {', '.join(near)}"
