"""The lines of a check about what a model is called with: names, types, shapes, domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from .check_report import Line, judged
from .check_subject import Subject
from .contract import PortContract
from .graph import nested_nodes

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto

    from .ports import Port

STANDARD = "ai.onnx"


def interface(subject: Subject, side: Literal["inputs", "outputs"]) -> Line:
    """Every input, or output, has the name, type and shape of the contract, in its order."""
    wanted: Mapping[str, PortContract] = getattr(subject.contract, side) or {}
    got = {port.name: port for port in getattr(subject.ports, side)}
    if side == "outputs":
        got = {name: _as_run(port, wanted.get(name), subject) for name, port in got.items()}
    wrong = [
        *(f"{name} is missing" for name in wanted if name not in got),
        *(f"{port} is not in the contract" for name, port in got.items() if name not in wanted),
        *(
            f"{port} is not {_told(port.name, wanted[name])}"
            for name, port in got.items()
            if name in wanted and not _same(port, wanted[name])
        ),
    ]
    if not wrong and list(got) != list(wanted):  # a program may call them by number
        wrong = [f"in the order {', '.join(got)}"]
    return judged(
        side,
        not wrong,
        found="; ".join(wrong) or ", ".join(map(str, got.values())),
        expected=", ".join(_told(name, port) for name, port in wanted.items()),
    )


inputs = partial(interface, side="inputs")
outputs = partial(interface, side="outputs")


def dynamic_batch(subject: Subject) -> Line:
    """The batch axis is free."""
    size = subject.ports.batch
    return judged(
        "dynamic_batch",
        size == "free",
        found="free" if size == "free" else f"fixed at {size}" if size else "no batch axis",
        expected="a free batch axis",
    )


def domains(subject: Subject) -> Line:
    """Every operator is of a domain that the contract allows."""
    allowed = set(subject.contract.domains or ())
    found = used_domains(subject.proto.graph, *subject.proto.functions)
    return judged(
        "domains",
        found <= allowed,
        found=", ".join(sorted(found)),
        expected=f"only {', '.join(sorted(allowed))}",
    )


def used_domains(*graphs: GraphProto | FunctionProto) -> set[str]:
    """The domains of all operators, those of nested graphs too; the standard one by its name."""
    return {node.domain or STANDARD for node in nested_nodes(*graphs)}


def _same(port: Port, wanted: PortContract) -> bool:
    return port.dtype == wanted.dtype and _same_shape(port.shape, wanted.shape)


def _same_shape(found: Sequence[int | str | None], wanted: Sequence[int | str]) -> bool:
    """Sizes are equal, and axes free where the contract has a name; which name is no matter."""
    return len(found) == len(wanted) and all(
        have == want if isinstance(want, int) else not isinstance(have, int)
        for have, want in zip(found, wanted, strict=True)
    )


def _as_run(port: Port, wanted: PortContract | None, subject: Subject) -> Port:
    """`port`, with the sizes of a run for axes that it leaves free and the contract fixes.

    Exporters that trace declare some as free that never are; an axis behind a free batch that is
    free in the contract too keeps its name.
    """
    if wanted is None or subject.ports.batch is None or len(port.shape) != len(wanted.shape):
        return port
    pairs = list(zip(port.shape, wanted.shape, strict=True))
    if not any(isinstance(want, int) and not isinstance(have, int) for have, want in pairs[1:]):
        return port
    seen = subject.outputs[port.name].shape
    shape = tuple(
        size if place and isinstance(want, int) and not isinstance(have, int) else have
        for place, ((have, want), size) in enumerate(zip(pairs, seen, strict=True))
    )
    return replace(port, shape=shape)


def _told(name: str, port: PortContract) -> str:
    return f"{name} {port.dtype} ({', '.join(map(str, port.shape))})"
