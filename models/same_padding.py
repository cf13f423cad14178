"""TensorFlow's "same" padding as a module: zeros around an image, more of them below and right."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class SamePad2d(nn.Module):
    """Pads (B, C, H, W) so that the convolution behind it gives ceil(H / stride) rows, W likewise.

    The amounts depend on H and W, so this is no padding that `nn.Conv2d` could do itself.
    """

    def __init__(
        self, kernel_size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = tuple(kernel_size), tuple(stride)
        self.dilation = tuple(dilation)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (
            max(-(-size // stride) * stride - stride + (kernel - 1) * dilation + 1 - size, 0)
            for size, kernel, stride, dilation in zip(
                x.shape[-2:], self.kernel_size, self.stride, self.dilation, strict=True
            )
        )
        above, left = rows // 2, columns // 2
        return F.pad(x, (left, columns - left, above, rows - above))

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, dilation={self.dilation}"
