"""The recipe's [export]: the runtimes that the student is written for, the form of its files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ..export.runtimes import runtime_of
from ..models.errors import BadInput
from .section import Count, Section, each_once

Target = Literal["tensorrt", "ort-x86", "ort-arm64"]


def _a_runtime(text: str) -> str:
    try:
        return str(runtime_of(text))
    except BadInput as error:
        raise ValueError(str(error)) from None


class Export(Section):
    """The runtimes that the student is written for, and how its files stand on the device.

    model.<target>.onnx take normalised images and give logits; they are what is checked, timed and
    reported. Where a raw input, a head, a batch or external data is asked for, deploy.<target>.onnx
    lie beside them, the same networks in that form, and are compared with them.
    """

    targets: Annotated[tuple[Target, ...], Field(min_length=1), AfterValidator(each_once)] = (
        "tensorrt",
        "ort-x86",
        "ort-arm64",
    )
    """One INT8 ONNX file each, beside the FP32 one."""
    fp16: bool = False
    """Also a file in float16, typed as strongly typed TensorRT networks are."""
    float_type: Literal["float32", "float16"] = "float32"
    """Of what stays float beside INT8 in the file for TensorRT."""
    runtimes: Annotated[
        tuple[Annotated[str, AfterValidator(_a_runtime)], ...], AfterValidator(each_once)
    ] = ()
    """Oldest releases that have to read the files, as tensorrt-10.3, onnxruntime-1.21, jetpack-6.2;
    opset and IR version are fitted to them."""
    opset: Annotated[int, Field(ge=7)] | None = None
    """Of all files; absent: the lowest that can be written."""
    input: Literal["float32", "uint8"] = "float32"
    """Normalised images, or raw pixels that the file normalises inside."""
    layout: Literal["hwc", "chw"] = "hwc"
    """Of raw pixels: rows, columns, channels, as cameras and decoders have them, or channels first.
    """
    head: Annotated[str, Field(pattern=r"^(logits|softmax|top[1-9][0-9]{0,3})$")] = "logits"
    """logits; softmax: probabilities; topK, as top5: the K best classes and their scores."""
    batch: Count | None = None
    """Images per call; absent: as many as the caller likes."""
    external_data: bool = False
    """Weights in a file beside the model, model.onnx.data."""
