"""The teacher: a family of ours, torchvision's, timm's or the user's own, with checked weights."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .checkpoints import load_weights
from .errors import BadInput, need
from .families import FAMILIES
from .student import seeded

SHOWN = 3  # tensors named in a refusal


def teacher_from(
    model: str,
    *,
    num_classes: int | None,
    image_size: int,
    in_channels: int = 3,
    options: Mapping[str, Any] | None = None,
    checkpoint: Path | None = None,
    seed: int = 0,
    base: Path | None = None,
) -> nn.Module:
    """The network `model` names: (B, C, H, W) -> (B, num_classes), in eval mode, on the CPU.

    `model` is a family ("wideresnet", options depth and width), "torchvision:NAME", "timm:NAME" or
    "module:function"; the last is imported from the path or from the folder `base`, called with
    `num_classes` if it takes it, and has to return a module. `options` go to the builder.
    `num_classes` None leaves the number to the builder; a family needs one.
    `checkpoint` has to match name by name and shape by shape. `BadInput` says what does not fit.
    """
    values = dict(options or {})
    given = sorted({"num_classes", "in_chans", "in_channels", "image_size"} & set(values))
    if given:
        raise BadInput(f"teacher option {given[0]!r} is set by the data; remove it")
    with seeded(seed):
        if model in FAMILIES:
            if num_classes is None:
                raise BadInput(f"how many classes a {model} has to tell apart was not said")
            network = _of_family(model, values, num_classes, image_size, in_channels)
        elif model.startswith("torchvision:"):
            network = _torchvision(model, values, num_classes)
        elif model.startswith("timm:"):
            network = _timm(model, values, num_classes, in_channels)
        elif ":" in model:
            network = _users_own(model, values, num_classes, base)
        else:
            raise BadInput(
                f"unknown teacher {model!r}{_near(model, FAMILIES)}; known: {', '.join(FAMILIES)},"
                " torchvision:NAME, timm:NAME, module:function"
            )
    if checkpoint is not None:
        load_strictly(network, checkpoint, num_classes=num_classes)
    network.eval()
    _check_output(model, network, (1, in_channels, image_size, image_size), num_classes)
    return network


def load_strictly(network: nn.Module, checkpoint: Path, *, num_classes: int | None) -> None:
    """Copy the checkpoint's tensors into `network`; `BadInput` unless all names and shapes agree.

    A batch norm's `num_batches_tracked` may be absent: it has no part in inference.
    """
    weights, wanted = load_weights(checkpoint), network.state_dict()
    wrong = [n for n in wanted if n in weights and weights[n].shape != wanted[n].shape]
    heads = [n for n in wrong if _differs_in_classes(weights[n], wanted[n], num_classes)]
    if wrong and wrong == heads:
        name = heads[0]
        raise BadInput(
            f"checkpoint {checkpoint}: the teacher gives {weights[name].shape[0]} classes,"
            f" the data has {num_classes} ({name} is {_shape(weights[name])},"
            f" expected {_shape(wanted[name])})"
        )
    if wrong:
        shown = [f"{n} {_shape(weights[n])}, expected {_shape(wanted[n])}" for n in wrong]
        raise BadInput(f"checkpoint {checkpoint}: wrong shapes: {_first(shown)}")
    missing = [n for n in wanted if n not in weights and not n.endswith("num_batches_tracked")]
    unexpected = [n for n in weights if n not in wanted]
    if missing or unexpected:
        problems = [f"missing {_first(missing)}"] * bool(missing)
        problems += [f"not of this network: {_first(unexpected)}"] * bool(unexpected)
        raise BadInput(f"checkpoint {checkpoint}: {'; '.join(problems)}")
    broken = [n for n in wanted if n in weights and not weights[n].isfinite().all()]
    if broken:
        raise BadInput(f"checkpoint {checkpoint}: NaN or infinity in {_first(broken)}")
    network.load_state_dict(weights, strict=False)  # compared above, in our own words


def _of_family(
    name: str, options: dict[str, Any], num_classes: int, image_size: int, in_channels: int
) -> nn.Module:
    unknown = sorted(set(options) - {"depth", "width"})
    if unknown:
        raise BadInput(
            f"unknown teacher option {unknown[0]!r}{_near(unknown[0], ('depth', 'width'))};"
            f" {name} takes depth and width"
        )
    depth, width = options.get("depth", 16), options.get("width", 1.0)
    if isinstance(depth, bool) or not isinstance(depth, int):
        raise BadInput(f"teacher depth: expected a whole number, found {depth!r}")
    if isinstance(width, bool) or not isinstance(width, int | float):
        raise BadInput(f"teacher width: expected a number, found {width!r}")
    spec = FAMILIES[name].scaled(
        depth=depth,
        width=width,
        num_classes=num_classes,
        image_size=image_size,
        in_channels=in_channels,
    )
    return spec.network()


def _torchvision(model: str, options: dict[str, Any], num_classes: int | None) -> nn.Module:
    from torchvision import models

    name = model.partition(":")[2]
    known = models.list_models(module=models)
    if name not in known:
        raise BadInput(f"torchvision has no classification model {name!r}{_near(name, known)}")
    builder = models.get_model_builder(name)
    classes = {} if num_classes is None else {"num_classes": num_classes}
    return _called(model, builder, {"weights": None} | options | classes)


def _timm(
    model: str, options: dict[str, Any], num_classes: int | None, in_channels: int
) -> nn.Module:
    timm = need("timm", "timm")
    name = model.partition(":")[2]
    if not timm.is_model(name.partition(".")[0]):
        raise BadInput(f"timm has no model {name!r}{_near(name, timm.list_models())}")
    values = {"pretrained": False} | options
    values |= {"model_name": name, "in_chans": in_channels}
    if num_classes is not None:
        values["num_classes"] = num_classes
    return _called(model, timm.create_model, values)


def _users_own(
    model: str, options: dict[str, Any], num_classes: int | None, base: Path | None
) -> nn.Module:
    module_name, _, function_name = model.partition(":")
    with _importable(base):
        try:
            module = importlib.import_module(module_name)
        except (
            Exception,
            SystemExit,
        ) as error:  # importing runs the user's code, which may raise anything
            raise BadInput(
                f"teacher {model!r}: importing {module_name!r} failed: {_said(error)}"
                f"{_near(module_name, ('torchvision', 'timm'))}"
            ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [name for name, value in vars(module).items() if callable(value)]
        raise BadInput(
            f"teacher {model!r}: {module_name} has no function {function_name!r}"
            f"{_near(function_name, names)}"
        )
    values = dict(options)
    parameters = inspect.signature(function).parameters
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    if num_classes is not None and ("num_classes" in parameters or open_ended):
        values["num_classes"] = num_classes
    return _called(model, function, values)


def _called(model: str, builder: Any, values: dict[str, Any]) -> nn.Module:
    try:
        network = builder(**values)
    except (
        Exception,
        SystemExit,
    ) as error:  # a builder of others; whatever it raises, the user's input made it
        raise BadInput(f"teacher {model!r} cannot be built: {_said(error)}") from error
    if not isinstance(network, nn.Module):
        raise BadInput(
            f"teacher {model!r}: expected a torch.nn.Module, found {type(network).__name__}"
        )
    return network


def _check_output(
    model: str, network: nn.Module, shape: tuple[int, int, int, int], num_classes: int | None
) -> None:
    pixels = "x".join(map(str, shape[1:]))
    try:
        with torch.no_grad():
            logits = network(torch.zeros(shape))
    except (
        Exception,
        SystemExit,
    ) as error:  # a network of others; whatever it raises, it cannot take the images
        raise BadInput(f"teacher {model!r} cannot take {pixels} images: {_said(error)}") from error
    if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[0] != 1:
        found = _shape(logits) if isinstance(logits, Tensor) else type(logits).__name__
        raise BadInput(
            f"teacher {model!r}: one {pixels} image must give logits of shape"
            f" (1, {num_classes or 'classes'}),"
            f" found {found}"
        )
    if num_classes is not None and logits.shape[1] != num_classes:
        raise BadInput(
            f"teacher {model!r} gives {logits.shape[1]} classes, the data has {num_classes}"
        )


@contextmanager
def _importable(base: Path | None) -> Iterator[None]:
    """Within the block modules in `base` can be imported."""
    if base is None:
        yield
        return
    sys.path.insert(0, str(base))
    try:
        yield
    finally:
        sys.path.remove(str(base))


def _differs_in_classes(found: Tensor, wanted: Tensor, num_classes: int | None) -> bool:
    return (
        found.dim() > 0
        and found.dim() == wanted.dim()
        and found.shape[1:] == wanted.shape[1:]
        and wanted.shape[0] == num_classes
    )


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _first(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more


def _shape(tensor: Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"


def _said(error: BaseException) -> str:
    """The first line of what an error of others says."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
