"""The lines of a check that run the model in ONNX Runtime."""

# N images, C channels, H rows, W columns, K classes

from __future__ import annotations

from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .check_report import Fail, Line, Skip, judged
from .check_subject import Subject
from .runtime import infer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROWS = 8
"""Rows of the batches that are compared with one another."""


def loads(subject: Subject) -> Line:
    """ONNX Runtime opens the file and it is a classifier."""
    try:
        found = subject.signature
    except BadInput as error:
        raise Fail(str(error)) from error
    return judged(
        "loads",
        True,
        found=f"{found.input} {found.shape} -> {found.output} {found.gives}".replace("None", "N"),
        expected="a classifier that ONNX Runtime opens",
    )


def dynamic_batch(subject: Subject) -> Line:
    """The batch axis is free."""
    size = subject.signature.shape[0]
    return judged(
        "dynamic_batch",
        size is None,
        found="free" if size is None else f"fixed at {size}",
        expected="a free batch axis",
    )


def runs(subject: Subject) -> Line:
    """The images go through, and the logits have the declared shape."""
    images = subject.images
    try:
        got = subject.logits.shape
    except BadInput as error:
        raise Fail(str(error)) from error
    # From the file: ONNX Runtime replaces a wrong declaration by what it infers.
    declared = subject.proto.graph.output[0].type.tensor_type.shape.dim
    classes = declared[1].dim_value if len(declared) == 2 else 0
    return judged(
        "runs",
        classes in (0, got[1]),
        found=f"logits {got}",
        expected=f"logits ({len(images)}, {classes or 'K'}) as declared",
    )


def finite(subject: Subject) -> Line:
    """No NaN or Inf for zeros, extremes, noise and the images."""
    import numpy as np

    row = subject.noise(seed=1, rows=1)
    peak = subject.peak
    odd = {
        "zeros": np.zeros_like(row),
        f"all {peak:.3g}": np.full_like(row, peak),
        f"all {-peak:.3g}": np.full_like(row, -peak),
        "noise": row,
        f"signs of {peak:.3g}": np.sign(row) * np.float32(peak),
    }
    # One row at a time: a NaN that spreads through the batch would blame the wrong input.
    broken = [
        name
        for name, image in odd.items()
        if not np.isfinite(infer(subject.session, image, batch=1)).all()
    ]
    rows = int((~np.isfinite(subject.logits).all(axis=1)).sum())
    if rows:
        broken.append(f"{rows} of {len(subject.logits)} rows of the inputs")
    return judged(
        "finite",
        not broken,
        found=f"NaN or Inf for {', '.join(broken)}" if broken else "finite",
        expected=f"finite logits for {', '.join(odd)} and {len(subject.logits)} inputs",
        figures={"broken_inputs": len(broken), "non_finite_rows": rows},
    )


def batch_invariant(subject: Subject) -> Line:
    """A row of logits is the same whatever stands beside it in the batch, and alone.

    Beside: the same batch size, so the same kernels run and the bits must be the same. Alone:
    other kernels may round otherwise, hence the contract's `batch_tolerance`.
    """
    import numpy as np

    size = subject.signature.shape[0]
    if size == 1:
        raise Skip("the batch axis is fixed at 1, so no two images ever meet")
    images = np.resize(subject.images, (size or ROWS, *subject.images.shape[1:]))
    together = _batch(subject, images)
    beside = 0.0
    for kept in (0, len(images) - 1):
        others = subject.noise(seed=2, rows=len(images)) * np.float32(2 * subject.peak)
        others[kept] = images[kept]
        beside = max(beside, _apart(_batch(subject, others)[kept], together[kept]))
    alone = 0.0
    if size is None:
        singles = np.concatenate([_batch(subject, image[None]) for image in images])
        alone = _apart(singles, together)
    limit = subject.contract.batch_tolerance
    return judged(
        "batch_invariant",
        beside == 0 and alone <= limit,
        found=f"{beside:.2g} beside other images, {alone:.2g} alone"
        if size is None
        else f"{beside:.2g} beside other images (batch fixed at {size})",
        expected=f"0 beside other images, <= {limit:g} alone (shares of the largest logit)",
        figures={"beside": beside, "alone": alone, "limit": limit},
    )


def _batch(subject: Subject, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of `images` as one batch; a model that cannot take them so fails the line."""
    try:
        return infer(subject.session, images, batch=len(images))
    except BadInput as error:
        raise Fail(f"batch of {len(images)}: {error}") from error


def _apart(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """Largest difference as a share of the largest logit; equal NaN count as equal here."""
    import numpy as np

    if np.array_equal(left, right, equal_nan=True):
        return 0.0
    scale = float(np.abs(right).max())
    apart = float(np.abs(left - right).max()) / (scale or 1.0)
    return apart if np.isfinite(apart) else float("inf")
