"""The lines of a check about what a model costs: multiply-accumulates, parameters, memory."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from .check_report import Line, Skip, judged
from .check_subject import Subject
from .model_parts import shown
from .one_call import one_call
from .onnx_cost import OnnxCost, inlined, onnx_cost, unknown_values
from .onnx_parameters import parameters
from .seen_shapes import with_seen_shapes
from .some import some

SHOWN = 3
_COUNTED: WeakKeyDictionary[Subject, OnnxCost] = WeakKeyDictionary()


def max_macs(subject: Subject) -> Line:
    """Multiply-accumulates are within the limit; of a fixed batch, shared among its samples.

    `skipped` where an operator is not counted and the rest is within it: the limit must not be met
    by what was left out.
    """
    limit = _limit(subject.contract.max_macs)
    cost = _cost(subject)
    # What runs inside a Loop may run any number of times.
    unknown = (*cost.uncounted, *cost.repeated)
    if unknown and cost.macs <= limit:
        raise Skip(
            f"{cost.macs:,} and those of {some(unknown)}, which are not known;"
            f" the limit is {limit:,}"
        )
    size = subject.ports.batch
    macs = -(-cost.macs // size) if isinstance(size, int) else cost.macs
    heaviest = sorted(cost.by_layer, key=lambda layer: -layer.macs)[:SHOWN]
    why = (
        ""
        if macs <= limit
        else "most in " + ", ".join(f"{layer.name} ({layer.macs:,})" for layer in heaviest)
    )
    if cost.counted_once:
        why = f"{why}; counted once, though inside If, Loop or Scan: {some(cost.counted_once)}"
    return judged(
        "max_macs",
        macs <= limit,
        found=f"{macs:,} multiply-accumulates for one sample",
        expected=f"<= {limit:,}",
        why=why.removeprefix("; "),
        figures={"macs": macs, "limit": limit},
    )


def max_parameters(subject: Subject) -> Line:
    """The elements of all weights are within the limit."""
    limit = _limit(subject.contract.max_parameters)
    count = parameters(inlined(subject.proto))
    return judged(
        "max_parameters",
        count <= limit,
        found=f"{count:,} parameters",
        expected=f"<= {limit:,}",
        figures={"parameters": count, "limit": limit},
    )


def max_peak_activation_bytes(subject: Subject) -> Line:
    """Activations alive at once in one call (one sample, or a fixed batch) are within."""
    limit = _limit(subject.contract.max_peak_activation_bytes)
    cost = _cost(subject)
    peak = cost.peak_activation_bytes
    if peak is None:
        raise Skip(f"the size of {shown(cost.unsized)} is not known, or it is no tensor")
    return judged(
        "max_peak_activation_bytes",
        peak <= limit,
        found=f"{peak:,} bytes",
        expected=f"<= {limit:,} bytes",
        figures={"bytes": peak, "limit": limit},
    )


def _cost(subject: Subject) -> OnnxCost:
    """The cost for one sample, counted once for all lines.

    Raises `Skip` where shapes are known neither from the file nor from a run.
    """
    if subject not in _COUNTED:
        model = inlined(subject.sized_proto)
        if missing := unknown_values(model):
            size = subject.ports.batch
            rows = 1 if size == "free" else size
            feeds = one_call(subject.ports, subject.samples, rows)
            run, folder = inlined(subject.proto), subject.path.parent
            model = with_seen_shapes(model, missing, feeds, run=run, folder=folder)
        _COUNTED[subject] = onnx_cost(model)
    return _COUNTED[subject]


def _limit(limit: int | None) -> int:
    if limit is None:
        raise Skip("the contract sets no limit")
    return limit
