"""The model under check with its material; whatever several lines need is made once."""

# N images, C channels, H rows, W columns, K classes

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .check_report import Fail, Skip
from .contract import Contract
from .parity import Parity, compare
from .runtime import Signature, a_file, infer, one_line, open_session, signature

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto
    from onnxruntime import InferenceSession

    from .arm64 import Arm64

SEEDED_ROWS = 32
PEAK = 4.0
"""Size of the extreme inputs without images; normalised photographs reach 2 to 3."""


# eq=False: cached values are kept per object, and arrays have no single truth value.
@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A model file, the contract it is held to, and what it is compared with."""

    path: Path
    contract: Contract
    target: str | None
    reference: Path | None
    given: NDArray[Any] | None
    labels: NDArray[Any] | None
    threads: int
    arm64: Arm64 | None = None

    @cached_property
    def proto(self) -> ModelProto:
        """The file as a protobuf, side files left alone."""
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs

        try:
            proto = onnx.load(self.path, load_external_data=False)
        except (DecodeError, RuntimeError, ValueError) as error:
            raise Fail(f"not an ONNX file: {one_line(error)}") from error
        if not proto.ir_version or not proto.graph.node:
            raise Fail("not an ONNX file: no IR version or no operators in it")
        return proto

    @cached_property
    def session(self) -> InferenceSession:
        return open_session(self.path, threads=self.threads, target=self.target)

    @cached_property
    def signature(self) -> Signature:
        return signature(self.session)

    @cached_property
    def images(self) -> NDArray[Any]:
        """The images given, else seeded noise in the shape that the model takes."""
        if self.given is not None:
            return self.given
        return self.noise(seed=0)

    def noise(self, *, seed: int, rows: int = SEEDED_ROWS) -> NDArray[np.float32]:
        """Normal noise (rows, C, H, W) shaped like the images, else like the model's input."""
        import numpy as np

        sizes: tuple[int | None, ...] = self.signature.shape[1:]
        if self.given is not None:
            sizes = self.given.shape[1:]
        if None in sizes:
            raise Skip("the model leaves channels, height or width free; give images")
        shape = (rows, *[size for size in sizes if size is not None])
        return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)

    @property
    def inputs(self) -> str:
        """What goes through the model, in words."""
        if self.given is not None:
            return f"{len(self.given)} images" + ("" if self.labels is None else ", labelled")
        return f"no images given: {SEEDED_ROWS} rows of seeded normal noise"

    @cached_property
    def peak(self) -> float:
        """Size of an extreme input value."""
        return PEAK if self.given is None else float(abs(self.given).max()) or PEAK

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """(N, K) of the model."""
        return infer(self.session, self.images)

    @cached_property
    def reference_session(self) -> InferenceSession:
        if self.reference is None:
            raise Skip("no reference model was given")
        return open_session(self.reference, threads=self.threads)

    @cached_property
    def reference_logits(self) -> NDArray[np.float32]:
        """(N, K) of the reference for the same images."""
        session = self.reference_session
        try:
            return infer(session, self.images)
        except BadInput as error:
            raise Fail(f"the reference does not take the same images: {error}") from error

    @cached_property
    def parity(self) -> Parity:
        try:
            return compare(self.reference_logits, self.logits)
        except BadInput as error:
            raise Fail(str(error)) from error

    @cached_property
    def arm64_logits(self) -> NDArray[np.float32]:
        """(N, K) of the model on the emulated arm64 processor."""
        if self.arm64 is None:
            raise Skip("no emulated processor was given")
        classes = self.logits.shape[1]
        return self.arm64.infer(self.path, self.images, takes=self.signature, classes=classes)

    @cached_property
    def arm64_expected(self) -> NDArray[np.float32]:
        """(N, K) on x86-64 of what arm64 runs, one image at a time as there."""
        session = open_session(self.path, threads=self.threads, target="ort-arm64")
        return infer(session, self.images, batch=1)

    @cached_property
    def unfused(self) -> NDArray[np.float32]:
        """(N, K) of the file on x86-64, operator by operator in floating point."""
        session = open_session(self.path, threads=self.threads, fused=False)
        return infer(session, self.images, batch=1)


def open_subject(
    path: Path,
    *,
    contract: Contract,
    target: str | None,
    reference: Path | None,
    images: NDArray[Any] | None,
    labels: NDArray[Any] | None,
    threads: int,
    arm64: Arm64 | None = None,
) -> Subject:
    """The subject, with what the user gave looked over: a fault there is `BadInput`."""
    a_file(path)
    _check_material(images, labels)
    subject = Subject(
        path=path,
        contract=contract,
        target=target,
        reference=reference,
        given=images,
        labels=labels,
        threads=threads,
        arm64=arm64,
    )
    if reference is not None:
        # A reference that is broken is the caller's mistake, not a fault of the model.
        signature(subject.reference_session)
    return subject


def _check_material(images: NDArray[Any] | None, labels: NDArray[Any] | None) -> None:
    import numpy as np

    if images is None:
        if labels is not None:
            raise BadInput("labels were given without images; give both or none")
        return
    if images.ndim != 4 or not len(images):
        raise BadInput(f"images have shape {images.shape}; expected (N, C, H, W) with N >= 1")
    if not np.issubdtype(images.dtype, np.floating) or not np.isfinite(images).all():
        raise BadInput(
            f"images are {images.dtype} with or without NaN;"
            f" expected finite floating-point values, normalised as the model wants them"
        )
    if labels is None:
        return
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise BadInput(
            f"labels are {labels.dtype} of shape {labels.shape};"
            f" expected {len(images)} integers, one per image"
        )
    if labels.min() < 0:
        raise BadInput(f"label {labels.min()} at image {labels.argmin()}; classes start at 0")
