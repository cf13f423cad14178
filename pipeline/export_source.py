"""What is exported: the network of a run, of a checkpoint, of a library or of a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .events import emit
from .manifest import Damaged, Manifest, verify

if TYPE_CHECKING:
    from torch import nn

    from ..models.ranges import Ranges

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
"""The figures of torchvision's weights and of most of timm's."""
MADE_BY = ("shortlist", "teacher", "distill", "quantize")
"""The stages whose settings make a student what it is."""
PLACES = ("checkpoint",)
"""Keys of a recipe that say where a file lies."""


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """The same network in 8 bits."""

    network: nn.Module
    """With fake quantization, see models/fake_quant.py."""
    ranges: Ranges
    method: str
    """What set the ranges."""
    keep_float: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network to export, and what is known of it."""

    model: nn.Module
    shape: tuple[int, int, int]
    source: str = ""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    classes: tuple[str, ...] | None = None
    recipe: Mapping[str, Any] | None = None
    quantized: Quantized | None = None

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Metadata for every file of the network."""
        from ..export.metadata import state_sha256

        known = {"mean": self.mean, "std": self.std, "classes": self.classes}
        return {
            **{name: None if value is None else list(value) for name, value in known.items()},
            "source": self.source or None,
            "recipe": self.recipe,
            "weights_sha256": state_sha256(self.model.state_dict()),
        }

    def class_count(self) -> int:
        """How many classes it tells apart, from one forward."""
        import torch

        device = next((each.device for each in self.model.parameters()), None)
        with torch.inference_mode():
            logits = self.model.eval()(torch.zeros(1, *self.shape, device=device))
        return int(logits.shape[-1])


def of_run(run: Path) -> Network:
    """The student of a finished run, in float and in 8 bits; its artifacts are verified."""
    from .networks import read_json

    manifests = {}
    for stage in MADE_BY:
        try:
            manifests[stage] = verify(run / stage)
        except Damaged as fault:
            raise BadInput(
                f"the run {run}: {stage} is damaged: {fault}; run its recipe again"
            ) from None
    folders = {stage: run / stage for stage in MADE_BY}
    name = str(read_json(run / "summary.json")["recipe"])
    return of_stages(folders, manifests, name=name)


def of_stages(
    folders: Mapping[str, Path], manifests: Mapping[str, Manifest], *, name: str = ""
) -> Network:
    """The student that the artifacts of the stages in `MADE_BY` hold."""
    import torch

    from ..models.checkpoints import load_weights
    from ..models.fake_quant import prepare
    from ..models.fold import fold_batch_norm
    from ..models.ranges import Ranges
    from .networks import blocks_of, load_network, read_json, size_of

    facts = read_json(folders["teacher"] / "data.json")
    description = folders["distill"] / "student.json"
    told = read_json(description)
    weights = folders["distill"] / "student.safetensors"
    student = load_network(description, weights, torch.device("cpu"))
    made = folders["quantize"]
    kept = tuple(read_json(made / "quantized.json")["keep_float"])
    prepared = prepare(fold_batch_norm(student, blocks=blocks_of(told, student)), keep_float=kept)
    prepared.load_state_dict(load_weights(made / "student_int8.safetensors"))
    settings = manifests["quantize"].settings["quantize"]
    assert isinstance(settings, dict)
    size = size_of(told)
    return Network(
        model=student,
        shape=(3, size, size),
        source=source_of(told),
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
        classes=tuple(facts["classes"]),
        recipe=_recipe(manifests, name),
        quantized=Quantized(
            network=prepared.eval(),
            ranges=Ranges.from_json((made / "ranges.json").read_text()),
            method=f"{settings['calibration']}, then {settings['epochs']} epochs of training",
            keep_float=kept,
        ),
    )


def of_checkpoint(path: Path) -> Network:
    """The network of one of our checkpoints, which describe themselves."""
    from ..models.checkpoints import load_weights
    from .networks import build_network, described, size_of

    told = described(path)
    if told is None or "mean" not in told:
        raise BadInput(
            f"{path} does not say which network it holds; give the network as SOURCE, as"
            " torchvision:resnet18 or module:function, and this file with --weights"
        )
    model = build_network(told)
    model.load_state_dict(load_weights(path))
    size = size_of(told)
    mean, std = tuple(told["mean"]), tuple(told["std"])
    return Network(
        model=model.eval(), shape=(3, size, size), source=source_of(told), mean=mean, std=std
    )


def of_name(
    source: str, weights: Path | None, shape: tuple[int, int, int], classes: int | None
) -> Network:
    """The network of a library or of a function, with as many classes as its weights have."""
    from ..models.teacher import teacher_from

    place: Any = {"image_size": shape[1], "base": Path()}
    count = classes
    if weights is not None and classes is None:
        count = _classes(teacher_from(source, num_classes=None, **place), weights)
    model = teacher_from(source, num_classes=count, checkpoint=weights, **place)
    if weights is None and source.startswith(("torchvision:", "timm:")):
        emit("note", text=f"{source} has RANDOM weights: give trained ones with --weights")
    elif weights is None:
        emit("note", text=f"{source}: as the function makes it, no --weights were given")
    return Network(model=model, shape=shape, source=source)


def source_of(told: Mapping[str, Any]) -> str:
    """The network of one of our descriptions, in a word."""
    return str(told["spec"]["family"] if "spec" in told else told["model"])


def _classes(network: nn.Module, weights: Path) -> int | None:
    """The classes of `weights`, read off the one size in which they differ from `network`."""
    from ..models.checkpoints import load_weights

    found, own = load_weights(weights), network.state_dict()
    heads = {
        len(found[name])
        for name, tensor in own.items()
        if name in found and found[name].shape != tensor.shape
    }
    return heads.pop() if len(heads) == 1 else None


def _recipe(manifests: Mapping[str, Manifest], name: str) -> dict[str, Any]:
    """The parts of the recipe that made the network, as those stages read them.

    Places are left out (a path is no part of a network), and what was left open.
    """
    parts: dict[str, Any] = {"name": name} if name else {}
    for stage in MADE_BY:
        for dotted, value in manifests[stage].settings.items():
            if value is None:
                continue
            *tables, key = dotted.split(".")
            place = parts
            for table in tables:
                place = place.setdefault(table, {})
            place[key] = _without_places(value)
    return parts


def _without_places(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        key: Path(each).name if key in PLACES and isinstance(each, str) else each
        for key, each in value.items()
        if each is not None
    }
