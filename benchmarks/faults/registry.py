"""What a fault is, and the list that the files of this folder enter theirs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

    from .bases import Base

Files = Mapping[str, bytes]
"""File names and contents; the model is the first."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way in which an export goes wrong."""

    name: str
    group: str
    on: str
    """The base that it is planted in."""
    make: Callable[[Base], ModelProto | Files]
    what: str
    """What happened, in a sentence."""
    seen: str
    """A public report of it; "" if none is known to us."""
    loads: bool
    """Whether ONNX Runtime still opens the file."""
    exports: bool
    """Whether the network is exported anew, which takes seconds."""

    def files(self, base: Base) -> Files:
        made = self.make(base)
        if isinstance(made, Mapping):
            return made
        return {"model.onnx": made.SerializeToString(deterministic=True)}


FAULTS: list[Fault] = []


def fault(
    *on: str, seen: str = "", loads: bool = True, exports: bool = False
) -> Callable[[Callable[[Base], ModelProto | Files]], Callable[[Base], ModelProto | Files]]:
    """Enters a function as a fault, once for each base it is planted in."""

    def enter(
        make: Callable[[Base], ModelProto | Files],
    ) -> Callable[[Base], ModelProto | Files]:
        what = " ".join((make.__doc__ or "").split("\n\n")[0].split())
        FAULTS.extend(
            Fault(
                name=make.__name__,
                group=make.__module__.rpartition(".")[2],
                on=each,
                make=make,
                what=what,
                seen=seen,
                loads=loads,
                exports=exports,
            )
            for each in on
        )
        return make

    return enter
