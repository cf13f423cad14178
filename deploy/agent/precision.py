"""Which number types TensorRT may use: what the file says, or what its builder is told besides.

Up to 10, flags let the builder choose float16 and int8; since 10 a network can be strongly typed,
and since 11 every one is: then the types are those of the ONNX file and no flag changes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import AgentError
from .onnx_file import OnnxFile

LAST_WITH_FLAGS = 10


@dataclass(frozen=True)
class Types:
    """How a network is to be built."""

    strong: bool
    """Whether the types of the file are binding."""
    flags: tuple[str, ...]
    """What the builder may use besides float32: FP16, INT8."""


def held(model: OnnxFile) -> str:
    """The precision that the file itself has: fp32, fp16 or int8."""
    return "int8" if model.quantized else "fp16" if model.half else "fp32"


def types_for(
    precision: str, model: OnnxFile, version: str, can_be_strong: bool, dla: bool
) -> Types:
    """How to build `model` with TensorRT `version` when the case asks for `precision`.

    Raises:
        AgentError: this version or this file cannot give that precision.
    """
    major = int(version.split(".")[0])
    if precision in ("fp32", "fp16") and model.quantized:
        raise AgentError(
            "request", f"precision {precision}: the file is quantized; ask for int8 or as-file"
        )
    if precision == "fp32" and model.half:
        raise AgentError("request", "precision fp32: the file holds float16; ask for fp16")
    if precision == "int8" and not model.quantized:
        raise AgentError(
            "request",
            "precision int8: the file has no Q/DQ nodes, and without their ranges INT8 means"
            " nothing; export it with --precision int8",
        )
    if major > LAST_WITH_FLAGS:
        if precision not in ("as-file", held(model)):
            raise AgentError(
                "request",
                f"precision lives in the ONNX file on TensorRT {major}, and this file is"
                f" {held(model)}: export it with --precision {precision}",
            )
        return Types(strong=True, flags=())
    quantized = ("INT8",) if model.quantized else ()
    if dla:
        return Types(strong=False, flags=("FP16", *quantized))  # a DLA has no float32
    if precision == "as-file":
        half = ("FP16",) if model.half else ()
        return Types(True, ()) if can_be_strong else Types(False, (*half, *quantized))
    if precision == "fp32":
        return Types(strong=False, flags=())
    # What stays unquantized beside INT8 runs in float16: nobody asks for INT8 to get float32.
    return Types(strong=False, flags=("FP16", *quantized))
