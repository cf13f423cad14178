"""What every exported file goes through: its metadata, and whether it computes the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import GateFailed

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

IMAGES = 16
# Two libraries' float32 rounding, relative to the largest logit. The largest seen is 7e-7 (WRN-28,
# ResNet-18, MobileNetV2, EfficientNet-B0, RegNet-X-400MF, random weights, ONNX Runtime 1.32); the
# rest is room for deeper networks. A wrong export differs by hundredths and more.
LARGEST_RELATIVE_DIFFERENCE = 1e-4
# float16 has 11 bits, so one rounding is up to 5e-4; this is a hundred of them.
LARGEST_RELATIVE_DIFFERENCE_HALF = 5e-2


def save_onnx(model: ModelProto, path: Path, facts: Mapping[str, Any]) -> None:
    """Write `model`, with `facts` (classes, normalisation, target) as its metadata, sorted."""
    import json

    del model.metadata_props[:]
    for name in sorted(facts):
        value = facts[name]
        text = value if isinstance(value, str) else json.dumps(value)
        model.metadata_props.add(key=f"edgestill.{name}", value=text)
    path.write_bytes(model.SerializeToString(deterministic=True))


def agrees(
    network: nn.Module,
    path: Path,
    shape: tuple[int, int, int],
    largest: float = LARGEST_RELATIVE_DIFFERENCE,
) -> float:
    """The largest difference between torch's and ONNX Runtime's logits on seeded images.

    Raises:
        GateFailed: they differ by more than float32 rounding explains, or are not finite.
    """
    import numpy as np
    import torch

    from ..export.runtime import infer, open_session

    images = torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network.eval()(images).numpy()
    found = infer(open_session(path), images.numpy())
    worst = float(np.abs(found - expected).max())
    limit = largest * max(1.0, float(np.abs(expected).max()))
    if not worst <= limit:  # also catches NaN
        raise GateFailed(
            f"{path.name} does not compute what the network does: logits differ by {worst:.3g}"
            f" in ONNX Runtime, {limit:.3g} allowed; do not ship it"
        )
    return worst
