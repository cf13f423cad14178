"""[profile] of a recipe: the devices on which the exported files are timed, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from ..deploy.errors import TargetError
from ..deploy.target import parse_target
from .section import Count, Section


def _a_target(text: str) -> str:
    try:
        parse_target(text)
    except TargetError as error:
        # A type of its own, so that nobody prints the text again: a password may stand in it.
        raise PydanticCustomError("device", "{told}", {"told": str(error)}) from None
    return text


class On(Section):
    """One place where the files are timed, in turns."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$")] | None = None
    """What it is called in figures; absent: "local" or the host's name, with "@" the power mode."""
    target: Annotated[str, AfterValidator(_a_target)] = "local"
    """local: this machine; ssh://[user@]host[:port]: reached by your own OpenSSH."""
    engine: Literal["onnxruntime", "tensorrt", "trtexec"] = "onnxruntime"
    """The runtime that is timed."""
    provider: Literal["cpu", "cuda", "tensorrt"] = "cpu"
    """Of ONNX Runtime: where it runs."""
    batch: Count = 1
    """Images per inference."""
    threads: Count = 1
    """Intra-op threads of ONNX Runtime on a CPU; without meaning elsewhere."""
    seconds: Annotated[float, Field(gt=0, le=600)] = 2.0
    """Time that each file is timed for, over all rounds, after the warm-up."""
    warmup_seconds: Annotated[float, Field(ge=0, le=600)] = 0.5
    """The shortest warm-up; it goes on until the time settles, at most ten times as long."""
    runs: Annotated[int, Field(ge=200, le=1_000_000)] = 200
    """Timed runs per file at the least."""
    rounds: Annotated[int, Field(ge=1, le=1000)] = 5
    """The files take turns so many times, so that what slows the device slows all of them."""
    power_mode: Annotated[str, Field(min_length=1)] | None = None
    """Of a Jetson: set for the measurement and set back after it."""
    lock_clocks: bool = False
    """Pin the clocks of a Jetson for the measurement."""
    strict: bool = False
    """Fail the stage where the figures are not to be trusted, instead of saying so beside them."""

    @property
    def called(self) -> str:
        """Its name in measurements.json, summary and report."""
        place = parse_target(self.target).host or self.target
        return self.name or (f"{place}@{self.power_mode}" if self.power_mode else place)

    @model_validator(mode="after")
    def _what_is_onnxruntimes_own(self) -> On:
        given = {"provider", "threads"} & self.model_fields_set
        if self.engine != "onnxruntime" and given:
            raise ValueError(f"{min(given)} is ONNX Runtime's; {self.engine} has none")
        return self


class Profile(Section):
    """Where and how the files are measured."""

    on: Annotated[tuple[On, ...], Field(min_length=1)] = (On(),)
    """The targets, one after the other; the first one's figures stand in the table of results."""

    @model_validator(mode="after")
    def _each_has_its_own_name(self) -> Profile:
        names = [each.called for each in self.on]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two targets are called {name!r}; give them names: name = ...")
        return self
