"""The lines of a check about INT8: what the runtime really runs in integers."""

from __future__ import annotations

from .check_report import Line, Skip, judged
from .check_subject import Subject
from .fusion import Fusion
from .some import some


def int8_fraction(subject: Subject) -> Line:
    """Enough convolutions and matrix products run as INT8 kernels in the target's runtime."""
    fusion = _fusion(subject)
    limit = subject.contract.int8_fraction_for(subject.target)
    found = f"{fusion.int8}/{fusion.total} in INT8 ({fusion.source})"
    figures = {"int8": fusion.int8, "total": fusion.total}
    if not fusion.total:
        raise Skip("the model has no convolution or matrix product")
    if limit is None:
        return Line(
            name="int8_fraction",
            verdict="skipped",
            found=found,
            why=f"the contract sets no int8_fraction for {subject.target}",
            figures=figures,
        )
    return judged(
        "int8_fraction",
        fusion.int8 >= limit * fusion.total - 1e-9,
        found=found,
        expected=f">= {limit:.0%}",
        why=_notes(subject, fusion),
        figures={**figures, "limit": limit},
    )


def float_islands_max(subject: Subject) -> Line:
    """Few enough operations stay in float."""
    fusion, limit = _fusion(subject), subject.contract.float_islands_max or 0
    count = len(fusion.float_islands)
    return judged(
        "float_islands_max",
        count <= limit,
        found=f"{count} operations in float ({fusion.source})",
        expected=f"<= {limit}",
        why=_notes(subject, fusion),
        figures={"float_islands": count, "limit": limit},
    )


def qdq_left_max(subject: Subject) -> Line:
    """The runtime executes few enough quantize and dequantize nodes."""
    fusion, limit = _fusion(subject), subject.contract.qdq_left_max or 0
    if fusion.qdq_left is None:
        raise Skip(f"how many Q/DQ nodes {subject.target} executes is known from an engine alone")
    return judged(
        "qdq_left_max",
        fusion.qdq_left <= limit,
        found=f"{fusion.qdq_left} Q/DQ nodes executed",
        expected=f"<= {limit}",
        figures={"qdq_left": fusion.qdq_left, "limit": limit},
    )


def placement(subject: Subject) -> Line:
    """No Q/DQ node is missing where the runtime needs a pair to compute in integers."""
    from .qdq_placement import misplaced

    if subject.target is None:
        raise Skip("no target was given; placement rules differ from runtime to runtime")
    wrong = misplaced(subject.proto.graph, subject.target)
    return judged(
        "placement",
        not wrong,
        found=f"{len(wrong)} misplaced: {some(wrong)}" if wrong else "Q/DQ where it belongs",
        expected=f"Q/DQ pairs as {subject.target} fuses them",
        figures={"misplaced": len(wrong)},
    )


def _fusion(subject: Subject) -> Fusion:
    if subject.target is None:
        raise Skip("no target was given; fusion differs from runtime to runtime")
    return subject.fusion


def _notes(subject: Subject, fusion: Fusion) -> str:
    islands = [f"{island.name} ({island.reason})" for island in fusion.float_islands]
    predicted = f"predicted from the Q/DQ placement, not seen in {subject.target}"
    notes = [f"in float: {some(islands)}" if islands else ""]
    notes.append(predicted if fusion.source == "predicted" else "")
    return "; ".join(note for note in notes if note)
