"""The lines of a check that compare: with a reference, and with labels."""

# N samples, K classes

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .check_divergence import where_it_diverges
from .check_material import named_classes, outputs_are_scores
from .check_report import Fail, Line, Skip, judged
from .check_subject import Subject
from .number_types import number_types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .parity import Parity


# Limit in [check.parity] -> the figure it judges, whether the limit is the most or the least.
LIMITS = {
    "max_abs": ("max_abs", "most"),
    "mean_abs": ("mean_abs", "most"),
    "relative": ("relative", "most"),
    "shift": ("shift", "most"),
    "cosine_min": ("cosine", "least"),
    "top1_agreement_min": ("top1_agreement", "least"),
    "equal_min": ("equal", "least"),
}
# What rounding alone explains, as a share of the largest element. float32: exports of torchvision's
# networks differ from torch by 7e-7, wrong ones by hundredths. float16: a rounding is 5e-4, this is
# a hundred of them. 8 bits have no such figure: how far they move an output is the network's own.
ROUNDING = {"float32": 1e-4, "float16": 5e-2}
LEAST_COSINE = 0.0
"""Of 8 bits beside float: an output at more than a right angle to the reference's is another's."""


def parity_within(subject: Subject, limit_name: str) -> Line:
    """One figure of the distance from the reference is within the contract's limit."""
    limit: float = getattr(subject.contract.parity, limit_name)
    figure, kind = LIMITS[limit_name]
    found = {
        name: value
        for name, parity in subject.parity.items()
        if (value := getattr(parity, figure)) is not None
    }
    if not found:
        raise Skip(f"no output has the figure {figure}")
    worst = (max if kind == "most" else min)(found, key=lambda name: found[name])
    got = found[worst]
    parity = subject.parity[worst]
    where = f" in {worst}" if len(subject.parity) > 1 else ""
    met = got <= limit if kind == "most" else got >= limit
    return judged(
        f"parity.{limit_name}",
        met,
        found=f"{got:.6g} over {parity.rows} samples{where}",
        expected=f"{'<=' if kind == 'most' else '>='} {limit:g}",
        why=_notes(subject, parity, met=met),
        figures={figure: got, "rows": parity.rows, "limit": limit},
    )


def parity_of_numbers(subject: Subject) -> Line:
    """Outputs of whole numbers are the reference's, where the contract limits floats alone."""
    whole = {n: p for n, p in subject.parity.items() if p.equal is not None}
    if not whole:
        raise Skip("no output holds whole numbers")
    differing = {name: parity.equal for name, parity in whole.items() if parity.equal != 1}
    told = ", ".join(f"{name} equal in {share:.2%}" for name, share in differing.items())
    return judged(
        "parity.equal",
        not differing,
        found=told or f"{', '.join(whole)} equal",
        expected="equal elements; parity.equal_min allows others",
        figures={"differing": len(differing)},
    )


def parity_by_types(subject: Subject) -> Line:
    """Where the contract sets no limit: within what the file's number types explain.

    A float32 or float16 file is judged. How far 8 bits move an output depends on the network, so
    for such a file the distance is shown and not judged.
    """
    distances = {name: _distance(parity) for name, parity in subject.parity.items()}
    name = max(distances, key=lambda name: distances[name])
    got = subject.parity[name]
    figures = {
        figure: value
        for figure in ("max_abs", "mean_abs", "relative", "cosine", "top1_agreement", "equal")
        if (value := getattr(got, figure)) is not None
    }
    told = f"{name}: max {got.max_abs:.4g}"
    if got.relative is not None:
        told += f" ({got.relative:.3g} of the largest)"
    if got.equal is not None:
        told += f", {got.equal:.2%} of the elements are equal"
    if got.cosine is not None:
        told += f", cosine {got.cosine:.6f}"
    if got.top1_agreement is not None:
        told += f", top-1 agrees on {got.top1_agreement:.2%} of {got.rows}"
    types = number_types(subject.proto)
    limit = ROUNDING.get(types)
    turned = {n: p.cosine for n, p in subject.parity.items() if p.cosine is not None}
    away = [n for n, cosine in turned.items() if cosine < LEAST_COSINE]
    if limit is None and away:
        return judged(
            "parity",
            False,
            found=f"{away[0]}: cosine {turned[away[0]]:.3g}",
            expected=f"a cosine of {LEAST_COSINE:g} for every sample: an output at more"
            " than a right angle is another network's",
            why=_notes(subject, got, met=False),
            figures=figures,
        )
    if limit is None:
        return Line(
            name="parity",
            verdict="skipped",
            found=told,
            why=f"the contract sets no limit in [check.parity], and {types} explains no fixed"
            " one; edgestill check --init measures one",
            figures=figures,
        )
    met = distances[name] <= limit
    return judged(
        "parity",
        met,
        found=told,
        expected=f"<= {limit:g} of the largest element, as {types} rounding explains",
        why=_notes(subject, got, met=met),
        figures={**figures, "limit": limit},
    )


def _distance(parity: Parity) -> float:
    """Of floats relative to the largest; of whole numbers the share that is not equal."""
    return parity.relative if parity.relative is not None else 1 - (parity.equal or 0)


def top1_drop(subject: Subject) -> Line:
    """Top-1 on labelled samples is close enough to the reference's."""
    labels = _labels(subject)
    ours = _right(subject.outputs, labels)
    # Counts, so that a drop of exactly the limit is not lost to rounding.
    theirs = _right(subject.reference_outputs, labels)
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


def top1_min(subject: Subject) -> Line:
    """Top-1 on labelled samples is high enough."""
    labels, limit = _labels(subject), subject.contract.top1_min
    ours = _right(subject.outputs, labels)
    if limit is None:
        return Line(
            name="top1_min",
            verdict="skipped",
            found=f"{ours / len(labels):.2%} ({ours}/{len(labels)})",
            why="the contract sets no top1_min",
            figures={"top1": ours / len(labels), "images": len(labels)},
        )
    return judged(
        "top1_min",
        ours >= limit * len(labels) - 1e-9,
        found=f"{ours / len(labels):.2%} ({ours}/{len(labels)})",
        expected=f">= {limit:.2%}",
        figures={"top1": ours / len(labels), "images": len(labels), "limit": limit},
    )


def _labels(subject: Subject) -> NDArray[Any]:
    if subject.labels is None:
        raise Skip("no labelled samples were given")
    return subject.labels


def _right(outputs: Mapping[str, NDArray[Any]], labels: NDArray[Any]) -> int:
    """How many samples are given their label; one with NaN or Inf is given none."""
    named = named_classes(outputs)
    if named is None:
        raise Skip("no single output names a class for each sample")
    if outputs_are_scores(outputs):
        classes = max(v.shape[1] for v in outputs.values() if v.ndim == 2)
        if labels.max() >= classes:
            raise Fail(f"label {labels.max()} for a model of {classes} classes")
    return int((named == labels).sum())


def _notes(subject: Subject, parity: Parity, *, met: bool) -> str:
    notes = [
        "" if met else where_it_diverges(subject),
        "on seeded noise, no samples were given" if subject.samples_are_seeded else "",
        f"NaN or Inf in {parity.non_finite_rows} samples" if parity.non_finite_rows else "",
    ]
    return "; ".join(note for note in notes if note)
