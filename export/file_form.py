"""How a file is to stand on its device, whatever its precision: input, head, batch, opset.

A network leaves torch as float images -> logits and is compared like that. Its form is put round it
last, so that nothing of the form is in what is quantized or made float16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from ..models.errors import BadInput
from .fit_opset import fit_opset, fit_within, known_opset
from .heads import add_head, head_count
from .raw_input import Layout, take_pixels
from .runtimes import Runtime, newest_for

if TYPE_CHECKING:
    from onnx import ModelProto

Pixels = Literal["float32", "uint8"]
LOGITS = "logits"
FIRST_TENSORRT_WITH_INT64 = 10


@dataclass(frozen=True, kw_only=True)
class FileForm:
    """What is asked of a file, beside its precision."""

    input: Pixels = "float32"
    """float32: normalised images (N, C, H, W); uint8: raw pixels, normalised inside."""
    layout: Layout = "hwc"
    """Of a uint8 input: rows, columns, channels; or channels first."""
    head: str = LOGITS
    """logits | softmax | topK, as top5"""
    batch: int | None = None
    """Images per call; None: as many as the caller likes."""
    opset: int | None = None
    """None: the lowest that torch's exporter writes, or lower where the runtime asks for it."""
    runtime: Runtime | None = None
    """The oldest release that has to read the file; None: the oldest supported of its target."""

    def __post_init__(self) -> None:
        for what, value, known in (
            ("input", self.input, get_args(Pixels)),
            ("layout", self.layout, get_args(Layout)),
        ):
            if value not in known:
                raise BadInput(f"{what} {value!r}: expected one of {', '.join(known)}")
        if self.head != LOGITS:
            head_count(self.head)
        if self.batch is not None and self.batch < 1:
            raise BadInput(f"batch {self.batch}: expected 1 or more images")
        if self.opset is not None:
            known_opset(self.opset)

    @property
    def plain(self) -> bool:
        """Whether the file takes float images and gives logits."""
        return self.input == "float32" and self.head == LOGITS

    def as_plain(self) -> FileForm:
        """The same with float images and logits."""
        return replace(self, input="float32", head=LOGITS)

    def limits(self, target: str | None) -> tuple[int, int] | None:
        """(opset, IR version): the newest for `target`; None: no limit is known.

        Raises `BadInput` if the runtime does not run files for `target`, or reads no such opset.
        """
        if target is not None:
            limits = newest_for(target, self.runtime)
        elif self.runtime is not None:
            limits = self.runtime.opset_max, self.runtime.ir_max
        else:
            return None
        if self.opset is not None and self.opset > limits[0]:
            reader = self.runtime or f"the oldest supported runtime of {target}"
            raise BadInput(f"opset {self.opset}: {reader} reads up to opset {limits[0]}")
        return limits


def in_form(
    model: ModelProto,
    form: FileForm,
    *,
    target: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ModelProto:
    """`model` (float images -> logits) as `form` asks; `target` None: a file for any runtime.

    `model` is changed in place; the result is another one where ONNX's converter made it.

    Raises `BadInput` if the form asks for what is not known (mean and std of raw pixels), for more
    classes than there are, or for an opset that cannot be had.
    """
    limits = form.limits(target)
    if form.input == "uint8":
        if mean is None or std is None:
            raise BadInput(
                "raw pixels are normalised inside, and how this network was trained is not known:"
                " give --mean and --std, or --mean imagenet"
            )
        # A file for any runtime is one for TensorRT too.
        cast_first = target in (None, "tensorrt")
        take_pixels(model, mean=mean, std=std, layout=form.layout, cast_first=cast_first)
    if form.head != LOGITS:
        add_head(model, form.head, int32=_old_tensorrt(form))
    reader = str(form.runtime) if form.runtime else target or ""
    if form.opset is not None:
        model = fit_opset(model, form.opset, reader=reader if limits else "")
    if limits is not None:
        model = fit_within(model, opset_max=limits[0], ir_max=limits[1], reader=reader)
    return model


def _old_tensorrt(form: FileForm) -> bool:
    """Whether class numbers have to be int32."""
    if form.runtime is None or form.runtime.name != "tensorrt":
        return False
    return int(form.runtime.version.partition(".")[0]) < FIRST_TENSORRT_WITH_INT64
