"""Targets: how each runtime wants its quantized network, as data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# What ONNX Runtime's CPU provider multiplies in integers. A transposed convolution it does not.
ORT_KERNELS = ("Conv", "Gemm", "MatMul")
# Its direct integer convolution on x86-64 reads input channels by fours and writes sixteen output
# channels at once (MlasConvSym); all others copy their input into a matrix first.
X86_INPUT_CHANNELS, X86_OUTPUT_CHANNELS = 4, 16


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one runtime wants its quantized network."""

    dtype: type[np.int8] | type[np.uint8]
    """The type of activation codes."""
    unsigned_zero: int
    """The zero point of a value that is never negative."""
    signed_zero: int
    levels: int
    """Steps between zero and amax of a value that is never negative; a signed one has 127."""
    all_points: bool
    """Q/DQ at every point, repeated after max-pooling and its like; else as TensorRT wants it."""
    integer_bias: bool
    kernels: tuple[str, ...]
    """Operations with weights that the runtime computes in integers."""
    onnxruntime: bool
    """Whether ONNX Runtime runs it, with kernels and habits of its own."""
    int8_codes: bool = False
    """Whether ONNX Runtime keeps int8 activations in integers on that processor. On x86-64 it turns
    them back into floats where it cannot make them uint8.
    """
    input_channels: int = 1
    """The first convolution's input channels are filled up to a multiple of this."""


DIALECTS = {
    "tensorrt": Dialect(
        dtype=np.int8,
        unsigned_zero=0,
        signed_zero=0,
        levels=127,
        all_points=False,
        integer_bias=False,
        kernels=(*ORT_KERNELS, "ConvTranspose"),
        onnxruntime=False,
    ),
    "ort-x86": Dialect(
        dtype=np.uint8,
        unsigned_zero=0,
        signed_zero=128,
        levels=255,
        all_points=True,
        integer_bias=True,
        kernels=ORT_KERNELS,
        onnxruntime=True,
        input_channels=X86_INPUT_CHANNELS,
    ),
    "ort-arm64": Dialect(
        dtype=np.int8,
        unsigned_zero=-128,
        signed_zero=0,
        levels=255,
        all_points=True,
        integer_bias=True,
        kernels=ORT_KERNELS,
        onnxruntime=True,
        int8_codes=True,
    ),
}
TARGETS = tuple(DIALECTS)


def session_settings(target: str | None) -> dict[str, str]:
    """What makes ONNX Runtime treat INT8 as on the processor of `target`, whoever runs it.

    {} for None and for "tensorrt": as on this machine.
    """
    if target is None or not DIALECTS[target].onnxruntime:
        return {}
    return {"session.qdqisint8allowed": str(int(DIALECTS[target].int8_codes))}
