"""The first layer of an exported file that does not compute what the torch network's layer does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .divergence import Divergence, search
from .onnx_steps import OnnxSteps
from .step_pairs import INPUT
from .torch_steps import TorchSteps

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto
    from torch import nn

SAME_ROUNDING = 1e-2
"""INT8 and the network that rounds alike, layer by layer: a few codes at ties, and a bias in whole
steps. The largest seen is 2.4e-4 in trained networks (the digits student, ResNet-18, MobileNetV2;
three targets) and 3.4e-3 in untrained ones."""


def first_divergence_from_torch(
    network: nn.Module,
    candidate: Path | ModelProto,
    images: NDArray[Any],
    *,
    pixels: NDArray[Any] | None = None,
    limit: float | None = None,
    every_product: bool = False,
) -> Divergence | None:
    """The first layer of `candidate` that differs from `network`; None if none does.

    `network` is what was exported: not folded, or fake-quantized with the grid of the file's target
    (`set_grid`). `images` (N, C, H, W) are what it takes; `pixels` are the same images as the file
    takes them, where it normalises them itself. `every_product`: it is `BadInput` if one of the
    network's convolutions or matrices with weights is not found in the file. For the rest see
    `first_divergence`.
    """
    import numpy as np

    from ..models.fake_quant import points_of

    if limit is None and any(points_of(network)):
        limit = SAME_ROUNDING
    ours, theirs = TorchSteps(network), OnnxSteps(candidate)
    taken = [step.value for step in ours.steps if step.op == INPUT]
    if len(taken) != 1 or len(theirs.inputs) != 1:
        raise BadInput("where they differ cannot be told: one takes more than one input")
    (own,), (name,) = taken, theirs.inputs
    inside = theirs.made_of(f"{name}/normalised") if pixels is not None else None
    same = {own: inside} if inside is not None else {}
    fed = images if pixels is None else pixels
    if rows := theirs.fixed_rows(name):
        images, fed = (np.resize(each, (rows, *each.shape[1:])) for each in (images, fed))
    return search(
        ours,
        theirs,
        {own: images},
        {name: fed},
        limit=limit,
        same=same,
        every_product=every_product,
    )
