"""The known-good exports that faults are planted in, each with what it was made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from . import networks
from .exporters import dynamo, quantized_statically

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto
    from torch import Tensor, fx, nn

ROWS = 128
"""Recorded samples of a reference."""
SIZES = {
    "inception_v3": 96,
    "lraspp_mobilenet_v3_large": 96,
    "deeplabv3_mobilenet_v3_large": 96,
    "vgg11_bn": 224,  # TorchScript has no pooling from 2x2 to 7x7
}
"""Rows and columns of a torchvision network's images, where 64 are too few."""
OWN_REFERENCE = ("resnet18", "mobilenet_v2", "densenet121", "swin_t")
"""Held to the known-good file itself; the other float networks to what torch computes."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """A known-good export, its reference, and what a fault may start from."""

    name: str
    folder: Path
    reference: Path
    """What --reference is given: recorded inputs and outputs, or the float model."""
    target: str | None = None
    samples: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """(N, ...) by input; what polygraphy's golden outputs are of."""
    network: nn.Module | None = None
    """What was exported, in float."""
    before: nn.Module | None = None
    """The same network an epoch earlier."""
    export: Callable[..., ModelProto] | None = None
    """Exports a network in the way `good` was."""
    prepared: fx.GraphModule | None = None
    """The fake-quantized network of an INT8 file of ours."""
    whole: ModelProto | None = None
    """The float graph that was quantized."""
    calibration: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    others: Mapping[str, ModelProto] = field(default_factory=dict)
    """INT8 files of the same network for the other targets."""

    @property
    def good(self) -> Path:
        return self.folder / "good.onnx"

    def proto(self) -> ModelProto:
        """The known-good model, to be changed."""
        return onnx.load(self.good)

    def network_copy(self) -> Any:
        """The float network, to be changed."""
        import copy

        assert self.network is not None
        return copy.deepcopy(self.network)

    def exported(self, network: nn.Module) -> ModelProto:
        """`network` in the way that the good model was exported."""
        assert self.export is not None
        return self.export(network)


class Bases:
    """The bases by name, each made when it is first asked for."""

    def __init__(self, folder: Path, *, epochs: int = 5) -> None:
        self.folder, self.epochs = folder, epochs
        self.made: dict[str, Base] = {}
        self.parts: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Base:
        if name not in self.made:
            place = self.folder / name.replace(" ", "-")
            place.mkdir(parents=True, exist_ok=True)
            self.made[name] = maker(name)(self, name, place)
        return self.made[name]

    def forget(self, name: str) -> None:
        """Lets go of a base's networks and samples, unless others are made of it."""
        if " " in name and not name.startswith("digits"):
            self.made.pop(name, None)

    def reader(self) -> tuple[nn.Module, nn.Module]:
        """The trained reader of digits and its earlier self."""
        if "reader" not in self.parts:
            self.parts["reader"] = networks.trained_reader(epochs=self.epochs)
        found: tuple[nn.Module, nn.Module] = self.parts["reader"]
        return found

    def marked(self) -> tuple[fx.GraphModule, ModelProto]:
        """The reader, fake-quantized and calibrated, and its ONNX graph with markers."""
        if "marked" not in self.parts:
            self.parts["marked"] = marked(self.reader()[0], held_out(0, rows=200, train=True))
        found: tuple[fx.GraphModule, ModelProto] = self.parts["marked"]
        return found


def held_out(start: int, *, rows: int = ROWS, train: bool = False) -> Tensor:
    """Images (N, 3, H, W) of digits that the reader has not learned; with `train`, has."""
    pixels, _ = networks.coloured_digits()
    first = start + (0 if train else networks.TRAINED_ON)
    return networks.normalised(pixels[first : first + rows])


def marked(network: nn.Module, images: Tensor) -> tuple[fx.GraphModule, ModelProto]:
    """`network` with ranges from `images`, and its graph for `write_dialect`."""
    from edgestill.export import onnx_from_model
    from edgestill.models.fake_quant import calibrate, prepare
    from edgestill.models.fold import fold_batch_norm

    prepared = prepare(fold_batch_norm(network))
    calibrate(prepared, [images])
    return prepared, onnx_from_model(prepared, tuple(images.shape[1:]))


def dialect(prepared: fx.GraphModule, graph: ModelProto, target: str) -> ModelProto:
    from edgestill.export import write_dialect
    from edgestill.models.ranges import ranges_of

    return write_dialect(graph, ranges_of(prepared), target)


def recorded(
    path: Path,
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: tuple[str, ...],
    labels: Tensor | None = None,
) -> Path:
    """Writes what torch computes, as an .npz that `--reference` takes."""
    import numpy as np
    import torch

    with torch.inference_mode():
        found = network(*inputs.values())
    found = found if isinstance(found, tuple) else (found,)
    arrays = {f"inputs/{name}": values.numpy() for name, values in inputs.items()}
    arrays |= {f"outputs/{n}": v.numpy() for n, v in zip(outputs, found, strict=True)}
    if labels is not None:
        arrays["labels"] = labels.numpy()
    np.savez(path, **arrays)  # type: ignore[arg-type]  # its stub reads them as allow_pickle
    return path


def _labels() -> Tensor:
    return networks.coloured_digits()[1][networks.TRAINED_ON :][:ROWS]


def _arrays(inputs: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: values.numpy() for name, values in inputs.items()}


def _ours(network: nn.Module, shape: tuple[int, ...]) -> ModelProto:
    from edgestill.export import onnx_from_model

    return onnx_from_model(network, shape)


def _digits(bases: Bases, name: str, place: Path) -> Base:
    network, before = bases.reader()
    images = {"images": held_out(0)}
    export = partial(_ours, shape=(3, networks.SIZE, networks.SIZE))
    _save(export(network), place)
    return Base(
        name=name,
        folder=place,
        reference=recorded(place / "reference.npz", network, images, ("logits",), _labels()),
        samples=_arrays(images),
        network=network,
        before=before,
        export=export,
    )


def _external(bases: Bases, name: str, place: Path) -> Base:
    """The reader with its weights in a file beside it."""
    (place / "weights.bin").unlink(missing_ok=True)  # onnx.save appends
    digits = bases["digits"]
    onnx.save(
        digits.proto(),
        place / "good.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=64,  # shapes stay inside: ONNX Runtime infers with them
    )
    return Base(
        name=name,
        folder=place,
        reference=digits.reference,
        samples=digits.samples,
        network=digits.network,
        before=digits.before,
        export=digits.export,
    )


def _pixels(bases: Bases, name: str, place: Path) -> Base:
    """The reader that takes raw pixels and normalises them inside."""
    network = networks.FromPixels(bases.reader()[0]).eval()
    pixels, _ = networks.coloured_digits()
    inputs = {"pixels": pixels[networks.TRAINED_ON :][:ROWS]}
    export = partial(dynamo, inputs={"pixels": pixels[:2]}, outputs=("logits",))
    _save(export(network), place)
    return Base(
        name=name,
        folder=place,
        reference=recorded(place / "reference.npz", network, inputs, ("logits",), _labels()),
        samples=_arrays(inputs),
        network=network,
        export=export,
    )


def _classes(bases: Bases, name: str, place: Path) -> Base:
    """The reader that gives the class itself, (N,) int64, and how likely it is, (N,)."""
    import torch
    from torch import nn

    class Classes(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            likely = torch.softmax(self.inner(images), dim=1)
            return likely.argmax(dim=1), likely.amax(dim=1)

    network = Classes(bases.reader()[0]).eval()
    outputs = ("class", "likely")
    images = {"images": held_out(0)}
    export = partial(dynamo, inputs={"images": held_out(0, rows=2)}, outputs=outputs)
    _save(export(network), place)
    return Base(
        name=name,
        folder=place,
        reference=recorded(place / "reference.npz", network, images, outputs),
        samples=_arrays(images),
        network=network,
        export=export,
    )


def _digits_int8(bases: Bases, name: str, place: Path) -> Base:
    """The reader in the INT8 form of a target: ranges from 200 images that it has learned."""
    target = name.removeprefix("digits ")
    digits = bases["digits"]
    prepared, graph = bases.marked()
    _save(dialect(prepared, graph, target), place)
    # One target is held to recorded digits, the others to the float model on seeded noise.
    return Base(
        name=name,
        folder=place,
        reference=digits.reference if target == "ort-x86" else digits.good,
        target=target,
        samples=digits.samples,
        network=digits.network,
        before=digits.before,
        prepared=prepared,
        whole=graph,
        calibration=_arrays({"images": held_out(0, rows=200, train=True)}),
        others={
            other: dialect(prepared, graph, other)
            for other in ("tensorrt", "ort-x86", "ort-arm64")
            if other != target
        },
    )


def _fp16(bases: Bases, name: str, place: Path) -> Base:
    from edgestill.export.half import half_precision

    digits = bases["digits"]

    def export(network: nn.Module) -> ModelProto:
        return half_precision(digits.exported(network))

    _save(export(digits.network_copy()), place)
    return Base(
        name=name,
        folder=place,
        reference=digits.reference,
        target="tensorrt",
        samples=digits.samples,
        network=digits.network,
        export=export,
    )


def _two_heads(bases: Bases, name: str, place: Path) -> Base:
    network = networks.two_heads()
    inputs = {"images": networks.noise((3, 34, 34), rows=ROWS, seed=5)}
    outputs = ("scores", "boxes")
    export = partial(dynamo, inputs={"images": inputs["images"][:2]}, outputs=outputs)
    _save(export(network), place)
    return Base(
        name=name,
        folder=place,
        reference=recorded(place / "reference.npz", network, inputs, outputs),
        samples=_arrays(inputs),
        network=network,
        export=export,
    )


def _tokens(bases: Bases, name: str, place: Path) -> Base:
    network = networks.tokens()
    inputs = networks.some_tokens(ROWS, seed=5)
    few = {key: values[:2] for key, values in inputs.items()}
    export = partial(dynamo, inputs=few, outputs=("logits",))
    _save(export(network), place)
    return Base(
        name=name,
        folder=place,
        reference=recorded(place / "reference.npz", network, inputs, ("logits",)),
        samples=_arrays(inputs),
        network=network,
        export=export,
    )


def _torchvision(bases: Bases, name: str, place: Path) -> Base:
    """A torchvision network with random weights."""
    size = SIZES.get(name, 64)
    network = networks.warmed(name, size)
    images = {"images": networks.noise((3, size, size), rows=32, seed=5)}
    few = {"images": images["images"][:2]}
    export = partial(dynamo, inputs=few, outputs=("logits",))
    _save(export(network), place)
    reference = place / "good.onnx"
    if name not in OWN_REFERENCE:
        reference = recorded(place / "reference.npz", network, images, ("logits",))
    return Base(
        name=name,
        folder=place,
        reference=reference,
        samples=_arrays(images),
        network=network,
        export=export,
    )


def _static(bases: Bases, name: str, place: Path) -> Base:
    """By ONNX Runtime's quantize_static, held to the float model."""
    whole = bases[name.removesuffix(" static")]
    seen = {"images": _seen(whole).numpy()}
    _save(quantized_statically(whole.proto(), [seen]), place)
    return Base(
        name=name,
        folder=place,
        reference=whole.good,
        target="ort-x86",
        samples=whole.samples,
        network=whole.network,
        whole=whole.proto(),
        calibration=seen,
    )


def _torchvision_int8(bases: Bases, name: str, place: Path) -> Base:
    """A torchvision network in our INT8 form of a target, held to the float model."""
    plain, target = name.split(" ")
    whole = bases[plain]
    seen = _seen(whole)
    prepared, graph = marked(whole.network_copy(), seen)
    _save(dialect(prepared, graph, target), place)
    return Base(
        name=name,
        folder=place,
        reference=whole.good,
        target=target,
        samples=whole.samples,
        network=whole.network,
        prepared=prepared,
        whole=graph,
        calibration=_arrays({"images": seen}),
    )


def _seen(whole: Base) -> Tensor:
    """The images that ranges come from: noise as the network takes."""
    size = whole.samples["images"].shape[-1]
    return networks.noise((3, size, size), rows=32, seed=6)


def _save(model: ModelProto, place: Path) -> None:
    (place / "good.onnx").write_bytes(model.SerializeToString(deterministic=True))


MAKERS: dict[str, Callable[[Bases, str, Path], Base]] = {
    "digits": _digits,
    "digits external": _external,
    "digits pixels": _pixels,
    "digits class": _classes,
    "digits fp16": _fp16,
    "digits tensorrt": _digits_int8,
    "digits ort-x86": _digits_int8,
    "digits ort-arm64": _digits_int8,
    "two heads": _two_heads,
    "tokens": _tokens,
}


def maker(name: str) -> Callable[[Bases, str, Path], Base]:
    """How base `name` is made: one of MAKERS, or torchvision's: NAME, NAME static, NAME TARGET."""
    if name in MAKERS:
        return MAKERS[name]
    _, _, form = name.partition(" ")
    return {"": _torchvision, "static": _static}.get(form, _torchvision_int8)
