"""The model under check with its material; whatever several lines need is made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .check_material import check_material
from .check_reference import Reference, by_names
from .check_report import Fail, Skip
from .check_samples import PEAK, guessed_axes, half_smooth, how_many, noise, sample_shape
from .contract import Contract
from .fusion import Fusion, fusion_report
from .parity import Parity, compare_outputs
from .ports import Ports, fits, ports, run_samples
from .recorded import Recorded
from .runtime import Signature, a_file, infer, one_line, open_session, signature
from .sized import sized
from .targets import TARGETS
from .text_faults import text_fault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto
    from onnxruntime import InferenceSession

    from .arm64 import Arm64

    Samples = Mapping[str, NDArray[Any]]

PROTOBUF_BYTES = 2**31
ELEMENTS_AT_ONCE = 64 * 3 * 64 * 64
"""Size of a batch: large enough to be quick, small enough for any machine's memory."""


# eq=False: cached values are kept per object, and arrays have no single truth value.
@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A model file, the contract it is held to, and what it is compared with."""

    path: Path
    contract: Contract
    asked_target: str | None
    reference: Reference | None
    given: Samples | None
    """Samples for every input, by name, as the caller gave them."""
    given_labels: NDArray[Any] | None
    threads: int
    arm64: Arm64 | None = None

    @cached_property
    def proto(self) -> ModelProto:
        """The file as a protobuf, side files left alone."""
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs

        if self.path.stat().st_size >= PROTOBUF_BYTES:
            raise Fail("not an ONNX file: 2 GiB and more, which protobuf does not hold")
        try:
            proto = onnx.load(self.path, format="protobuf", load_external_data=False)
        except (DecodeError, RuntimeError, ValueError) as error:
            raise Fail(f"not an ONNX file: {one_line(error)}") from error
        if not proto.ir_version or not proto.graph.node:
            raise Fail("not an ONNX file: no IR version or no operators in it")
        if fault := text_fault(proto):
            raise Fail(f"not an ONNX file: {fault}")
        return proto

    @cached_property
    def whole_proto(self) -> ModelProto:
        """The same with the weights of its side files."""
        import onnx

        return onnx.load(self.path, format="protobuf")

    @cached_property
    def target(self) -> str | None:
        """The runtime that the file is for: as asked, else as its metadata says."""
        if self.asked_target is not None:
            return self.asked_target
        try:
            told = {entry.key: entry.value for entry in self.proto.metadata_props}
        except Fail:
            return None
        target = told.get("edgestill.target", "")
        return target if target in TARGETS else None

    @cached_property
    def session(self) -> InferenceSession:
        return open_session(self.path, threads=self.threads, target=self.target)

    @cached_property
    def ports(self) -> Ports:
        """What the model takes and gives; `Skip` where that is no tensor of numbers."""
        try:
            session = self.session
        except BadInput as error:
            raise Fail(str(error)) from error
        try:
            return ports(session)
        except BadInput as error:
            raise Skip(f"only tensors of numbers are checked: {error}") from error

    @cached_property
    def signature(self) -> Signature:
        """The same, of a float image classifier; anything else is `BadInput`."""
        return signature(self.session)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of one sample of every input."""
        if self.material is not None:
            return {name: values.shape[1:] for name, values in self.material.items()}
        sizes = self.contract.sizes
        return {port.name: sample_shape(port, self.ports, sizes) for port in self.ports.inputs}

    @property
    def recorded(self) -> Recorded | None:
        """The reference, where it is a record of inputs and outputs."""
        return None if self.reference is None else self.reference.recorded

    @cached_property
    def material(self) -> Samples | None:
        """Samples that somebody gave: those of the call, else those of the record."""
        given = self.given
        if given is None and self.recorded is not None:
            given = self.recorded.inputs
        return None if given is None else self._for_inputs(given)

    @property
    def samples_are_seeded(self) -> bool:
        return self.material is None

    @cached_property
    def samples(self) -> Samples:
        """(N, ...) for every input: what was given, else seeded noise shaped like the inputs."""
        if self.material is not None:
            return self.material
        return half_smooth(self.ports, self.shapes, rows=how_many(self.shapes), seed=0)

    def noise(self, *, seed: int, rows: int | None = None, scale: float = 1.0) -> Samples:
        """Seeded noise (rows, ...) for every input."""
        rows = how_many(self.shapes) if rows is None else rows
        return noise(self.ports, self.shapes, rows=rows, seed=seed, scale=scale)

    @property
    def rows(self) -> int:
        """N."""
        return len(next(iter(self.samples.values())))

    @property
    def batch(self) -> int:
        """Samples for one call where the batch axis is free."""
        import numpy as np

        elements = sum(int(np.prod(shape)) for shape in self.shapes.values())
        return max(1, min(64, ELEMENTS_AT_ONCE // max(elements, 1)))

    @property
    def inputs(self) -> str:
        """What goes through the model, in words."""
        given = self.given
        if given is not None:
            rows = len(next(iter(given.values())))
            return f"{rows} samples" + ("" if self.labels is None else ", labelled")
        if self.reference is not None and self.recorded is not None:
            return f"the samples recorded in {self.reference.path}"
        try:
            shapes = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
            guessed = guessed_axes(self.ports, self.contract.sizes)
        except (BadInput, Fail, Skip):
            return "none: the model takes no samples"
        text = f"no samples given: {how_many(self.shapes)} rows of seeded noise"
        return text + (f" of a guessed size, {shapes}" if guessed else "")

    @cached_property
    def peak(self) -> float:
        """Size of an extreme value of a float input."""
        if self.material is None:
            return PEAK
        floats = [abs(v).max() for v in self.material.values() if v.dtype.kind == "f"]
        return max(map(float, floats), default=PEAK) or PEAK

    @cached_property
    def outputs(self) -> Mapping[str, NDArray[Any]]:
        """Every output of the model, (N, ...)."""
        return self.run(self.samples)

    def run(self, samples: Samples, batch: int | None = None) -> Mapping[str, NDArray[Any]]:
        """Outputs for `samples`; a model that cannot take them fails the line."""
        try:
            return run_samples(self.session, samples, batch=batch or self.batch)
        except BadInput as error:
            raise Fail(str(error)) from error

    @cached_property
    def labels(self) -> NDArray[Any] | None:
        if self.given is not None or self.recorded is None:
            return self.given_labels
        return self.recorded.labels

    @cached_property
    def reference_outputs(self) -> Mapping[str, NDArray[Any]]:
        """Every output of the reference for the same samples."""
        if self.reference is None:
            raise Skip("no reference was given")
        given = self.given is not None
        return self.reference.outputs(self.samples, given=given, batch=self.batch)

    @cached_property
    def parity(self) -> dict[str, Parity]:
        """How far every output is from the reference's."""
        try:
            return compare_outputs(self.reference_outputs, self.outputs)
        except BadInput as error:
            raise Fail(str(error)) from error

    @cached_property
    def fusion(self) -> Fusion:
        """What the target fuses of the file; there must be one."""
        return fusion_report(self.path, self.target or "")

    @cached_property
    def sized_proto(self) -> ModelProto:
        """The graph for one sample, every free axis with its size, shapes inferred."""
        batch = 1 if self.ports.batch == "free" else None
        return sized(self.proto, self.shapes, batch=batch, whole=self.ports.batch is None)

    @cached_property
    def arm64_logits(self) -> NDArray[np.float32]:
        """(N, K) of the model on the emulated arm64 processor."""
        if self.arm64 is None:
            raise Skip("no emulated processor was given")
        try:
            takes = self.signature
        except BadInput as error:
            raise Skip(f"only image classifiers are emulated: {error}") from error
        (images,), (logits,) = self.samples.values(), self.outputs.values()
        return self.arm64.infer(self.path, images, takes=takes, classes=logits.shape[1])

    @cached_property
    def arm64_expected(self) -> NDArray[np.float32]:
        """(N, K) on x86-64 of what arm64 runs, one image at a time as there."""
        session = open_session(self.path, threads=self.threads, target="ort-arm64")
        (images,) = self.samples.values()
        return infer(session, images, batch=1)

    @cached_property
    def unfused(self) -> NDArray[np.float32]:
        """(N, K) of the file on x86-64, operator by operator in floating point."""
        session = open_session(self.path, threads=self.threads, fused=False)
        (images,) = self.samples.values()
        return infer(session, images, batch=1)

    def _for_inputs(self, given: Samples) -> Samples:
        """`given` by the names of this model's inputs; the line fails where they do not fit."""
        samples = by_names(given, {port.name for port in self.ports.inputs})
        try:
            fits(self.ports, samples)
        except BadInput as error:
            raise Fail(str(error)) from error
        return samples


def open_subject(
    path: Path,
    *,
    contract: Contract,
    target: str | None,
    reference: Path | None,
    samples: Samples | NDArray[Any] | None,
    labels: NDArray[Any] | None,
    threads: int,
    arm64: Arm64 | None = None,
) -> Subject:
    """The subject, with what the user gave looked over: a fault there is `BadInput`."""
    a_file(path)
    given = None
    if samples is not None:
        given = samples if isinstance(samples, Mapping) else {"": samples}
    check_material(given, labels)
    subject = Subject(
        path=path,
        contract=contract,
        asked_target=target,
        reference=None if reference is None else Reference(path=reference, threads=threads),
        given=given,
        given_labels=labels,
        threads=threads,
        arm64=arm64,
    )
    if subject.reference is not None:
        subject.reference.look_over(contract.reference_sha256)
    return subject
