"""Does a file with raw pixels and a head give what the plain file gives? Run, and compared."""

# N images, K classes

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import GateFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..export.file_form import FileForm

IMAGES = 16
# The network inside sees the same bits; what is left is another order of float32 sums, should the
# runtime plan the graph otherwise. Nothing was seen in ResNet-18, MobileNetV3, ViT-B/16 and our own
# networks, every precision and dialect: the logits are equal.
LARGEST_RELATIVE_DIFFERENCE = 1e-5


def agrees_with_plain(
    plain: Path,
    path: Path,
    form: FileForm,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    target: str | None = None,
) -> float:
    """The largest difference of an output, on seeded images of noise.

    Raises:
        GateFailed: an output is not what the plain file's logits make it.
    """
    import numpy as np

    from ..export.ports import ports, run_samples
    from ..export.runtime import infer, open_session

    session = open_session(path, target=target)
    image = ports(session).inputs[0]
    sizes = [size for size in image.shape[1:] if isinstance(size, int)]
    chance = np.random.default_rng(0)
    given: dict[str, NDArray[Any]]
    if form.input == "uint8":
        assert mean is not None and std is not None
        pixels = chance.integers(0, 256, (IMAGES, *sizes), dtype=np.uint8)
        images, given = normalised(pixels, form.layout, mean, std), {image.name: pixels}
    else:
        images = chance.standard_normal((IMAGES, *sizes), dtype=np.float32)
        given = {image.name: images}
    expected = headed(infer(open_session(plain, target=target), images), form.head)
    found = run_samples(session, given)
    worst = 0.0
    for name, values in expected.items():
        got = found.get(name)
        if got is None or got.shape != values.shape:
            raise GateFailed(f"{path.name} has no output {name} of {values.shape}; do not ship it")
        apart = float(np.abs(got.astype(np.float64) - values).max())
        # Beside the output's own size: a probability of 1000 classes is 0.001.
        limit = LARGEST_RELATIVE_DIFFERENCE * float(np.abs(values).max())
        if not apart <= (0 if np.issubdtype(values.dtype, np.integer) else limit):
            raise GateFailed(
                f"{path.name} does not give what its network does: {name} differs by {apart:.3g}"
                f" in ONNX Runtime, {limit:.3g} allowed; do not ship it"
            )
        worst = max(worst, apart)
    return worst


def normalised(
    pixels: NDArray[Any], layout: str, mean: Sequence[float], std: Sequence[float]
) -> NDArray[Any]:
    """Raw pixels (N, H, W, C) or (N, C, H, W) as the plain file takes them, (N, C, H, W)."""
    import numpy as np

    from ..export.raw_input import scale_and_shift

    scale, shift = scale_and_shift(mean, std)
    if layout == "hwc":
        pixels = pixels.transpose(0, 3, 1, 2)
    images: NDArray[Any] = np.ascontiguousarray(pixels).astype(np.float32) * scale + shift
    return images


def headed(logits: NDArray[Any], head: str) -> Mapping[str, NDArray[Any]]:
    """What `head` makes of logits (N, K), by name."""
    import numpy as np

    from ..export.heads import CLASSES, PROBABILITIES, SCORES, head_count

    if head == "logits":
        return {"logits": logits}
    powers = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    shares = powers / powers.sum(axis=1, keepdims=True)
    count = head_count(head)
    if count is None:
        return {PROBABILITIES: shares}
    order = np.argsort(-logits, axis=1, kind="stable")[:, :count]
    return {SCORES: np.take_along_axis(shares, order, axis=1), CLASSES: order}
