"""Encoded images as pixels: JPEG, PNG and what else Pillow reads, always as 8-bit RGB."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ...models.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image


def pixels_of(encoded: Any, where: str) -> NDArray[np.uint8]:
    """The picture (H, W, 3) in an encoded image (bytes or any buffer), or `BadInput` at `where`."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(encoded)) as image:
            return rgb_of(image, where)
    except (BadInput, MemoryError):
        raise
    except Exception as error:  # a damaged file makes Pillow's decoders raise nearly anything
        reason = str(error).split("<_io")[0].strip() or type(error).__name__
        raise BadInput(
            f"{where}: not a readable image of {len(encoded)} bytes ({reason});"
            " replace it or remove the row"
        ) from error


def rgb_of(image: Image, where: str) -> NDArray[np.uint8]:
    """A Pillow image as (H, W, 3): grey repeated, transparency dropped, 16 bits refused."""
    import numpy as np

    if image.mode.startswith(("I", "F")):
        # Pillow would clip these to 255: a white picture, and no word about it.
        raise BadInput(f"{where}: image has mode {image.mode}; expected 8 bits a channel")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"), np.uint8)


def rgb_of_array(array: Any, where: str) -> NDArray[np.uint8]:
    """An array (H, W), (H, W, 1) or (H, W, 3) of uint8 as (H, W, 3), or `BadInput` at `where`."""
    import numpy as np

    pixels = np.asarray(array)
    if pixels.dtype != np.uint8:
        raise BadInput(f"{where}: image holds {pixels.dtype}; expected uint8, 0 .. 255")
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        hint = "; channels come last" if pixels.ndim == 3 and pixels.shape[0] in (1, 3) else ""
        raise BadInput(
            f"{where}: image has shape {np.shape(array)}; expected (H, W), (H, W, 1) or (H, W, 3)"
            + hint
        )
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def resized(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(size, size, 3): the shorter side brought to `size` (bilinear), the longer cut to its centre.

    A picture that already is (size, size, 3) comes back as it is.
    """
    import numpy as np
    from PIL import Image

    height, width, _ = pixels.shape
    if height == width == size:
        return pixels
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    # Cut first: Pillow's `box` would let pixels from outside of it bleed in.
    square = np.ascontiguousarray(pixels[top : top + short, left : left + short])
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR))
