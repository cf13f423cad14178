"""The lines of a check that compare: with a reference, with labels, with what the runtime fuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .check_report import Fail, Line, Skip, judged
from .check_subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# Limit in [check.parity] -> the figure it judges, whether the limit is the most or the least.
LIMITS = {
    "max_abs": ("max_abs", "most"),
    "cosine_min": ("cosine", "least"),
    "top1_agreement_min": ("top1_agreement", "least"),
}


def parity_within(subject: Subject, limit_name: str) -> Line:
    """One figure of the distance from the reference is within the contract's limit."""
    limit: float = getattr(subject.contract.parity, limit_name)
    figure, kind = LIMITS[limit_name]
    got: float = getattr(subject.parity, figure)
    notes = [
        "" if subject.given is not None else "on seeded noise, no images were given",
        f"NaN or Inf in {subject.parity.non_finite_rows} rows"
        if subject.parity.non_finite_rows
        else "",
    ]
    return judged(
        f"parity.{limit_name}",
        got <= limit if kind == "most" else got >= limit,
        found=f"{got:.6g} over {subject.parity.rows} rows",
        expected=f"{'<=' if kind == 'most' else '>='} {limit:g}",
        why="; ".join(note for note in notes if note),
        figures={figure: got, "rows": subject.parity.rows, "limit": limit},
    )


def parity_unjudged(subject: Subject) -> Line:
    """The distance from the reference, where the contract sets no limit on it."""
    got = subject.parity
    return Line(
        name="parity",
        verdict="skipped",
        found=f"max {got.max_abs:.4g}, cosine {got.cosine:.6f}, top-1 agrees on"
        f" {got.top1_agreement:.2%} of {got.rows}",
        why="the contract sets no limit in [check.parity]",
        figures={
            "max_abs": got.max_abs,
            "mean_abs": got.mean_abs,
            "cosine": got.cosine,
            "top1_agreement": got.top1_agreement,
        },
    )


def top1_drop(subject: Subject) -> Line:
    """Top-1 on labelled images is close enough to the reference's."""
    labels = subject.labels
    if labels is None:
        raise Skip("no labelled images were given")
    ours = _right(subject.logits, labels)
    # Counts, so that a drop of exactly the limit is not lost to rounding.
    theirs = _right(subject.reference_logits, labels)
    drop = (theirs - ours) / len(labels)
    figures = {
        "top1": ours / len(labels),
        "top1_reference": theirs / len(labels),
        "drop": drop,
        "images": len(labels),
    }
    found = f"{drop:+.2%} ({theirs}/{len(labels)} -> {ours}/{len(labels)})"
    limit = subject.contract.top1_drop
    if limit is None:
        return Line(
            name="top1_drop",
            verdict="skipped",
            found=found,
            why="the contract sets no top1_drop",
            figures=figures,
        )
    return judged(
        "top1_drop",
        theirs - ours <= limit * len(labels) + 1e-9,
        found=found,
        expected=f"<= {limit:.2%}",
        figures={**figures, "limit": limit},
    )


def int8_fraction(subject: Subject) -> Line:
    """Enough convolutions and matrix products run as INT8 kernels in the target's runtime."""
    limit = subject.contract.int8_fraction
    if subject.target is None:
        raise Skip("no target was given; fusion differs from runtime to runtime")
    from .fusion import fusion_report

    fusion = fusion_report(subject.path, subject.target)
    found = f"{fusion.int8}/{fusion.total} in INT8 ({fusion.source})"
    figures = {"int8": fusion.int8, "total": fusion.total}
    if not fusion.total:
        raise Skip("the model has no convolution or matrix product")
    if limit is None:
        return Line(
            name="int8_fraction",
            verdict="skipped",
            found=found,
            why="the contract sets no int8_fraction",
            figures=figures,
        )
    islands = [f"{island.name} ({island.reason})" for island in fusion.float_islands]
    left = f"in float: {'; '.join(islands[:3])}" if islands else ""
    if len(islands) > 3:
        left += f" and {len(islands) - 3} more"
    predicted = f"predicted from the Q/DQ placement, not seen in {subject.target}"
    notes = [left, predicted if fusion.source == "predicted" else ""]
    return judged(
        "int8_fraction",
        fusion.int8 >= limit * fusion.total - 1e-9,
        found=found,
        expected=f">= {limit:.0%}",
        why="; ".join(note for note in notes if note),
        figures={**figures, "limit": limit},
    )


def _right(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> int:
    """How many rows (N, K) name their label; a row with NaN or Inf names none."""
    import numpy as np

    if labels.max() >= logits.shape[1]:
        raise Fail(f"label {labels.max()} for a model of {logits.shape[1]} classes")
    named = np.isfinite(logits).all(axis=1) & (logits.argmax(axis=1) == labels)
    return int(named.sum())
