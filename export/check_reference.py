"""What a model is compared with: another ONNX file, or recorded inputs and outputs."""

# N samples

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .check_material import check_material
from .check_report import Fail, Skip
from .ports import ports, run_samples
from .recorded import SUFFIX, Recorded, read_recorded
from .runtime import a_file, open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

    Samples = Mapping[str, NDArray[Any]]


# eq=False: cached values are kept per object.
@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """A known-good model. A fault in it is the caller's mistake, `BadInput`, and no line's."""

    path: Path
    threads: int

    @cached_property
    def recorded(self) -> Recorded | None:
        """The record, where it is one."""
        if self.path.suffix != SUFFIX:
            return None
        recorded = read_recorded(self.path)
        if not recorded.outputs:
            raise BadInput(
                f'{self.path}: no outputs in it; a reference has arrays "outputs/NAME", and samples'
                " alone are given with --data"
            )
        check_material(recorded.inputs, recorded.labels)
        return recorded

    @cached_property
    def session(self) -> InferenceSession:
        return open_session(self.path, threads=self.threads)

    def look_over(self, sha256: str | None = None) -> None:
        """Raises `BadInput` if it cannot be read or opened, or if its file has another `sha256`."""
        found = file_sha256(a_file(self.path))
        if sha256 is not None and found != sha256:
            raise BadInput(
                f"{self.path} is not the file that the contract was written with (sha256"
                f" {found[:12]}, expected {sha256[:12]}): keep the known-good file under a name of"
                " its own, or write the contract anew with --init"
            )
        if self.recorded is None:
            ports(self.session)

    def outputs(self, samples: Samples, *, given: bool, batch: int) -> Samples:
        """Its outputs, (N, ...) each, for the samples; `given` ones are other than the record's."""
        if self.recorded is not None and given:
            raise Skip("the reference is a record, and other samples were given")
        if self.recorded is not None:
            return self.recorded.outputs
        try:
            theirs = {port.name for port in ports(self.session).inputs}
            return run_samples(self.session, by_names(samples, theirs), batch=batch)
        except BadInput as error:
            raise Fail(f"the reference does not take the same inputs: {error}") from error


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def by_names(samples: Samples, wanted: set[str]) -> Samples:
    """`samples`; where there is one input on either side, by the wanted name."""
    if len(samples) == len(wanted) == 1:
        return dict(zip(wanted, samples.values(), strict=True))
    return samples
