"""The lines of a check, in their order, as data: what runs, who asks for it, what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import (
    check_against,
    check_arm64,
    check_cost,
    check_fusion,
    check_graph,
    check_interface,
    check_latency,
    check_runs,
    check_safety,
    check_weights,
)
from .check_report import Fail, Line, Skip
from .check_subject import Subject
from .number_types import number_types

Asked = Callable[[Subject], bool]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line to be: its name, who asks for it, and the line that must have passed before."""

    name: str
    run: Callable[[Subject], Line]
    needs: tuple[str, ...] = ()
    asked: Asked = lambda subject: True


def _limited(name: str) -> Asked:
    """The contract sets a limit of that name."""
    return lambda subject: getattr(subject.contract, name) is not None


def _wanted(name: str) -> Asked:
    """The contract's switch of that name is on."""
    return lambda subject: bool(getattr(subject.contract, name))


def _limits_parity(subject: Subject) -> set[str]:
    return set(subject.contract.parity.model_dump(exclude_none=True))


def _compared(subject: Subject) -> bool:
    return subject.reference is not None


def _numbers_unjudged(subject: Subject) -> bool:
    """There are outputs of whole numbers, and the contract limits floats alone."""
    limits = _limits_parity(subject)
    if not limits or "equal_min" in limits or not _compared(subject):
        return False
    try:
        return any(not port.dtype.startswith("float") for port in subject.ports.outputs)
    except (Fail, Skip):  # it is not loaded, and another line says so
        return False


def _quantized(subject: Subject) -> bool:
    try:
        return number_types(subject.proto) == "INT8"
    except Fail:  # it cannot be read, and another line says so
        return False


def _placed(subject: Subject) -> bool:
    return subject.target is not None and _quantized(subject)


def _asks_int8(subject: Subject) -> bool:
    return subject.contract.int8_fraction is not None or subject.target is not None


def _emulated(subject: Subject) -> bool:
    return subject.arm64 is not None


def _labelled(subject: Subject) -> bool:
    return subject.contract.top1_min is not None or subject.given_labels is not None


def _drops(subject: Subject) -> bool:
    labelled = _compared(subject) and subject.given_labels is not None
    return subject.contract.top1_drop is not None or labelled


LINES = (
    # What is in the file.
    Check(name="readable", run=check_graph.readable),
    Check(name="graph", run=check_safety.graph, needs=("readable",)),
    Check(name="side_files", run=check_safety.side_files, needs=("readable",)),
    Check(name="tensors", run=check_safety.tensors, needs=("side_files",)),
    Check(name="checker", run=check_graph.checker, needs=("side_files",)),
    Check(name="shapes", run=check_graph.shapes, needs=("graph",)),
    Check(name="operators", run=check_graph.operators, needs=("readable",)),
    Check(
        name="domains", run=check_interface.domains, needs=("readable",), asked=_limited("domains")
    ),
    Check(name="opset_max", run=check_graph.opset_max, needs=("readable",)),
    Check(name="ir_max", run=check_graph.ir_max, needs=("readable",)),
    Check(
        name="single_file",
        run=check_graph.single_file,
        needs=("readable",),
        asked=_wanted("single_file"),
    ),
    Check(
        name="max_bytes",
        run=check_graph.max_bytes,
        needs=("readable",),
        asked=_limited("max_bytes"),
    ),
    Check(
        name="quantizers",
        run=check_graph.quantizers,
        needs=("readable",),
        asked=lambda s: s.target == "tensorrt",
    ),
    Check(name="weights", run=check_weights.weights, needs=("tensors",), asked=_limited("weights")),
    Check(
        name="weight_codes", run=check_weights.weight_codes, needs=("tensors",), asked=_quantized
    ),
    Check(
        name="zero_channels_max",
        run=check_weights.zero_channels_max,
        needs=("side_files",),
        asked=_limited("zero_channels_max"),
    ),
    Check(
        name="biased_layers_min",
        run=check_weights.biased_layers_min,
        needs=("graph",),
        asked=_limited("biased_layers_min"),
    ),
    Check(name="placement", run=check_fusion.placement, needs=("graph",), asked=_placed),
    # What ONNX Runtime says.
    Check(name="loads", run=check_runs.loads, needs=("graph", "tensors")),
    Check(name="inputs", run=check_interface.inputs, needs=("loads",), asked=_limited("inputs")),
    Check(name="outputs", run=check_interface.outputs, needs=("loads",), asked=_limited("outputs")),
    Check(
        name="dynamic_batch",
        run=check_interface.dynamic_batch,
        needs=("loads",),
        asked=_wanted("dynamic_batch"),
    ),
    Check(name="runs", run=check_runs.runs, needs=("loads",)),
    Check(name="finite", run=check_runs.finite, needs=("runs",), asked=_wanted("finite")),
    Check(
        name="deterministic",
        run=check_runs.deterministic,
        needs=("runs",),
        asked=_wanted("deterministic"),
    ),
    Check(
        name="batch_invariant",
        run=check_runs.batch_invariant,
        needs=("loads",),
        asked=_wanted("batch_invariant"),
    ),
    *(
        Check(name=line.__name__, run=line, needs=("loads",), asked=_limited(line.__name__))
        for line in (
            check_cost.max_macs,
            check_cost.max_parameters,
            check_cost.max_peak_activation_bytes,
        )
    ),
    # What it is compared with.
    *(
        Check(
            name=f"parity.{limit}",
            run=partial(check_against.parity_within, limit_name=limit),
            needs=("runs",),
            asked=lambda subject, limit=limit: limit in _limits_parity(subject),  # type: ignore[misc]
        )
        for limit in check_against.LIMITS
    ),
    Check(
        name="parity.equal",
        run=check_against.parity_of_numbers,
        needs=("runs",),
        asked=_numbers_unjudged,
    ),
    Check(
        name="parity",
        run=check_against.parity_by_types,
        needs=("runs",),
        asked=lambda s: _compared(s) and not _limits_parity(s),
    ),
    Check(name="top1_drop", run=check_against.top1_drop, needs=("runs",), asked=_drops),
    Check(name="top1_min", run=check_against.top1_min, needs=("runs",), asked=_labelled),
    # What the runtime makes of it.
    Check(name="int8_fraction", run=check_fusion.int8_fraction, needs=("loads",), asked=_asks_int8),
    Check(
        name="float_islands_max",
        run=check_fusion.float_islands_max,
        needs=("loads",),
        asked=_limited("float_islands_max"),
    ),
    Check(
        name="qdq_left_max",
        run=check_fusion.qdq_left_max,
        needs=("loads",),
        asked=_limited("qdq_left_max"),
    ),
    Check(name="latency", run=check_latency.latency, needs=("runs",), asked=_limited("latency")),
    Check(
        name="latency.max_ms",
        run=check_latency.latency_max_ms,
        needs=("runs",),
        asked=lambda s: s.contract.latency is not None and s.contract.latency.max_ms is not None,
    ),
    Check(name="arm64.runs", run=check_arm64.arm64_runs, needs=("runs",), asked=_emulated),
    Check(
        name="arm64.finite", run=check_arm64.arm64_finite, needs=("arm64.runs",), asked=_emulated
    ),
    Check(
        name="arm64.agrees", run=check_arm64.arm64_agrees, needs=("arm64.runs",), asked=_emulated
    ),
)
