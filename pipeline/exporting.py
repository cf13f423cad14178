"""What every exported file goes through: its metadata, and whether it computes the same.

Measured on held-out images where there are some, else on seeded noise, and it says which. A file
that is wrong ends the export, and the first layer that differs is named.
"""

# N images, K classes

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..export.divergence import Divergence
from ..models.errors import BadInput, GateFailed
from .events import emit
from .export_limits import FLOAT, INT8, INT8_HALF, INT8_UNSEARCHED, Limits, too_far

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from ..export.parity import Parity
    from .data import Data

    Values = Mapping[str, tuple[NDArray[Any], NDArray[Any]]]

IMAGES = 16
"""Of noise, where there are no held-out images."""
HELD_OUT_IMAGES = 256
"""The most that are taken: a difference shows on the first, a rare class's on a few hundred."""
SEARCHED_IMAGES = 4
"""Through every layer, to find the first that differs."""
HALF_LAYER = 3e-2
"""A layer's largest error where float16 stands beside INT8: a float16 sum of up to 127 steps is up
to 1/16 of a step off, and as many values fall on another code than in float32."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far a file's outputs are from the network's."""

    outputs: Mapping[str, Parity]
    images: str
    """What went through both, in words."""

    @property
    def worst(self) -> float:
        """The largest difference of any output's element."""
        return max(parity.max_abs for parity in self.outputs.values())

    def to_json(self) -> dict[str, Any]:
        """{"images": text, "outputs": {name: figures}}"""
        outputs = {name: parity.to_json() for name, parity in self.outputs.items()}
        return {"images": self.images, "outputs": outputs}

    def __str__(self) -> str:
        """The figures of every output, on one line."""
        told = []
        for name, parity in self.outputs.items():
            figures = [f"max {parity.max_abs:.2g}", f"mean {parity.mean_abs:.2g}"]
            if parity.cosine is not None:
                figures.append(f"cosine {parity.cosine:.6f}")
            if parity.top1_agreement is not None:
                figures.append(f"top-1 agrees on {parity.top1_agreement:.2%}")
            told.append(f"{name} {', '.join(figures)}")
        return f"{'; '.join(told)} ({self.images})"


def failed_name(name: str) -> str:
    """What a file that was found wrong is called.

    >>> failed_name("model.fp32.onnx")
    'model.fp32.FAILED.onnx'
    """
    return f"{name.removesuffix('.onnx')}.FAILED.onnx"


def held_out(data: Data) -> NDArray[Any]:
    """Images of the validation split, (N, C, H, W), normalised: all, or seeded ones of many."""
    import numpy as np

    from .splits import seeded_order

    rows = np.sort(seeded_order(len(data.validation.labels), seed=(0,))[:HELD_OUT_IMAGES])
    images: NDArray[Any] = data.validation.some(rows)[0].cpu().numpy()
    return images


def agrees(
    network: nn.Module,
    path: Path,
    shape: tuple[int, int, int],
    limits: Limits = FLOAT,
    *,
    images: NDArray[Any] | None = None,
) -> float:
    """The largest difference between torch's and ONNX Runtime's logits; see `agreement`."""
    return agreement(network, path, shape, limits, images=images).worst


def agreement(
    network: nn.Module,
    path: Path,
    shape: tuple[int, int, int],
    limits: Limits = FLOAT,
    *,
    images: NDArray[Any] | None = None,
) -> Agreement:
    """How far a float file is from `network`, per output, on `images` (N, *shape) or noise.

    Raises:
        GateFailed: they differ by more than rounding explains, or are not finite; with the first
            layer that differs.
    """
    given, words = _given(shape, images)
    found, values = _measured(network, path, given, words, fused=True)
    if reason := _too_far(found, values, limits):
        raise GateFailed(f"{_wrong(path, reason)}{_where(_first(network, path, given))}")
    return found


def int8_agreement(
    quantized: nn.Module,
    path: Path,
    shape: tuple[int, int, int],
    target: str,
    *,
    images: NDArray[Any] | None = None,
    half: bool = False,
) -> Agreement:
    """How far an INT8 file is from the fake-quantized network that it was written from.

    The file is run operator by operator: what is measured is what it says, not how this machine's
    kernels sum. Every layer must compute what the network's does, and then the whole. `half` says
    that float16 stands beside INT8.

    Where layers cannot be told apart a note says so, and the limit of the whole is that of trained
    networks.

    Raises:
        GateFailed: as for `agreement`.
    """
    import copy

    from ..models.fake_quant import set_grid

    network = copy.deepcopy(quantized).cpu().eval()
    set_grid(network, target)  # type: ignore[arg-type]  # refused there if it is no grid
    given, words = _given(shape, images)
    found, values = _measured(network, path, given, words, fused=False)
    first = _first(network, path, given, every_product=True, limit=HALF_LAYER if half else None)
    limits = INT8_HALF if half else INT8
    if isinstance(first, str):
        limits = INT8_UNSEARCHED
        emit("note", text=f"{path.name} is compared as a whole alone: {first}")
    reason = _too_far(found, values, limits)
    if isinstance(first, Divergence):
        reason = reason or "one of its layers computes something else"
    if reason:
        raise GateFailed(f"{_wrong(path, reason)}{_where(first)}")
    return found


def _given(shape: tuple[int, int, int], images: NDArray[Any] | None) -> tuple[NDArray[Any], str]:
    """The images to compare on, and what they are in words."""
    import numpy as np

    if images is None:
        noise = np.random.default_rng(0).standard_normal((IMAGES, *shape), dtype=np.float32)
        return noise, f"{IMAGES} rows of seeded noise, no held-out images were given"
    if images.shape[1:] != shape or not len(images):
        raise BadInput(f"held-out images are {images.shape}; expected (N, {shape}), N >= 1")
    return images, f"{len(images)} held-out images"


def _measured(
    network: nn.Module, path: Path, images: NDArray[Any], words: str, *, fused: bool
) -> tuple[Agreement, Values]:
    """The figures, and for each output the network's values and the file's."""
    import numpy as np
    import torch

    from ..export.parity import compare_outputs
    from ..export.ports import ports, run_samples
    from ..export.runtime import open_session

    session = open_session(path, fused=fused)
    inputs = ports(session).inputs
    if len(inputs) != 1:
        raise BadInput(f"{path.name} takes {len(inputs)} inputs; expected images alone")
    with torch.inference_mode():
        network.eval()
        rows = [
            network(torch.from_numpy(part)).numpy()
            for part in np.split(images, range(64, len(images), 64))
        ]
    expected = np.concatenate(rows)
    try:
        found = run_samples(session, {inputs[0].name: images})
        outputs = compare_outputs({"logits": expected}, found)
    except BadInput as error:
        raise GateFailed(_wrong(path, str(error))) from error
    return (
        Agreement(outputs=outputs, images=words),
        {name: (expected, found[name]) for name in outputs},
    )


def _too_far(found: Agreement, values: Values, limits: Limits) -> str:
    """Why an output is not the network's; "" if all are."""
    for name, parity in found.outputs.items():
        if parity.equal is not None:  # whole numbers
            if parity.equal != 1.0:
                return f"{name} differs in ONNX Runtime on {found.images}"
        elif reason := too_far(*values[name], limits):
            return f"{name} {reason}, on {found.images}"
    return ""


def _first(
    network: nn.Module,
    path: Path,
    images: NDArray[Any],
    *,
    every_product: bool = False,
    limit: float | None = None,
) -> Divergence | str | None:
    """The first layer that differs, None if none does, or why it cannot be told."""
    from ..export.divergence_torch import first_divergence_from_torch

    try:
        return first_divergence_from_torch(
            network, path, images[:SEARCHED_IMAGES], every_product=every_product, limit=limit
        )
    except BadInput as error:
        return str(error)


def _where(first: Divergence | str | None) -> str:
    if first is None:
        return "; every layer by itself agrees: it is in how they are put together"
    return f"; {first}"


def _wrong(path: Path, reason: str) -> str:
    return f"{path.name} does not compute what the network does: {reason}; do not ship it"
