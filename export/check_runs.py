"""The lines of a check that run the model in ONNX Runtime."""

# N samples

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .check_report import Fail, Line, Skip, judged
from .check_samples import edges
from .check_subject import Subject
from .half_overflow import overflowing
from .number_types import number_types
from .one_call import one_call
from .ports import run_samples
from .runtime import open_session
from .training_mode import left_in_training

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Outputs = Mapping[str, NDArray[Any]]

SHOWN = 3
ROWS = 8
"""Rows of the batches that are compared with one another."""


def loads(subject: Subject) -> Line:
    """ONNX Runtime opens the file, and it takes and gives tensors of numbers."""
    try:
        found = str(subject.ports)
    except BadInput as error:
        raise Fail(str(error)) from error
    return judged("loads", True, found=found, expected="a model that ONNX Runtime opens")


def runs(subject: Subject) -> Line:
    """The samples go through, and the outputs have the declared shapes."""
    outputs = subject.outputs
    # From the file: ONNX Runtime replaces a wrong declaration by what it infers.
    wrong = []
    skipped = 0 if subject.ports.batch is None else 1  # the batch axis has the size of the call
    for value in subject.proto.graph.output:
        declared = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
        if not value.type.tensor_type.HasField("shape"):
            continue
        found = outputs[value.name].shape if skipped else outputs[value.name].shape[1:]
        if len(declared) != len(found) or not _agree(declared[skipped:], found[skipped:]):
            wrong.append(f"{value.name}, declared as {tuple(size or '?' for size in declared)}")
    given = ", ".join(f"{name} {values.shape}" for name, values in outputs.items())
    return judged(
        "runs",
        not wrong,
        found=given + (f"; not as declared: {', '.join(wrong)}" if wrong else ""),
        expected=f"outputs of the declared shapes for {subject.rows} samples",
    )


def _agree(declared: tuple[int, ...], found: tuple[int, ...]) -> bool:
    return all(want in (0, have) for want, have in zip(declared, found, strict=True))


def finite(subject: Subject) -> Line:
    """No NaN or Inf for zeros, extremes, noise and the samples."""
    import numpy as np

    # One row at a time: a NaN that spreads through the batch would blame the wrong input.
    odd = edges(subject.ports, subject.shapes, subject.peak)
    broken = [
        name for name, row in odd.items() if not _all_finite(subject.run(row, batch=1).values())
    ]
    floats = [v for v in subject.outputs.values() if v.dtype.kind == "f"]
    rows = 0
    if floats:
        sound = np.all([np.isfinite(v.reshape(len(v), -1)).all(axis=1) for v in floats], axis=0)
        rows = int((~sound).sum())
    if rows:
        broken.append(f"{rows} of {subject.rows} samples")
    half = number_types(subject.proto) == "float16"
    if not floats and not half:
        raise Skip("no output holds floating-point numbers")
    if half:
        broken += _overflows_inside(subject)
    return judged(
        "finite",
        not broken,
        found=f"NaN or Inf for {', '.join(broken)}" if broken else "finite",
        expected=f"finite outputs for {', '.join(odd)} ({subject.peak:.3g})"
        f" and {subject.rows} samples",
        figures={"broken_inputs": len(broken), "non_finite_rows": rows},
    )


def _overflows_inside(subject: Subject) -> list[str]:
    """What is beyond float16 inside of a float16 file, though its outputs are finite here."""
    try:
        sized = subject.sized_proto
    except Skip as reason:
        return [f"float16 values inside, as far as is known: {reason}"]
    size = subject.ports.batch
    rows = ROWS if size == "free" else size
    feeds = one_call(subject.ports, subject.samples, rows)
    found = overflowing(subject.whole_proto, sized, feeds)
    shown = ", ".join(found[:SHOWN]) + (", and more" if len(found) > SHOWN else "")
    return [f"float16 values inside, the first {shown}"] if found else []


def _all_finite(outputs: Any) -> bool:
    import numpy as np

    return all(np.isfinite(values).all() for values in outputs if values.dtype.kind == "f")


def deterministic(subject: Subject) -> Line:
    """The same samples give the same bits again, and in another session.

    Nor does an operator draw by chance, or stand in training mode: ONNX Runtime drops some that
    another runtime keeps.
    """
    if trained := left_in_training(subject.proto):
        return judged(
            "deterministic",
            False,
            found=", ".join(trained[:SHOWN]) + (", and more" if len(trained) > SHOWN else ""),
            expected="no operator of chance or of training",
            figures={"operators": len(trained)},
        )
    some = {name: values[:ROWS] for name, values in subject.samples.items()}
    first = subject.run(some)
    again = subject.run(some)
    other = run_samples(
        open_session(subject.path, threads=subject.threads, target=subject.target),
        some,
        batch=subject.batch,
    )
    differing = [
        f"{name} {when}"
        for when, outputs in (("in the same session", again), ("in another session", other))
        for name in first
        if not _same_bits(first[name], outputs[name])
    ]
    return judged(
        "deterministic",
        not differing,
        found=f"other bits: {', '.join(differing)}" if differing else "the same bits",
        expected="the same bits every time",
        figures={"differing": len(differing)},
    )


def _same_bits(left: NDArray[Any], right: NDArray[Any]) -> bool:
    return left.shape == right.shape and left.tobytes() == right.tobytes()


def batch_invariant(subject: Subject) -> Line:
    """A sample's output is the same whatever stands beside it in the batch, and alone.

    Beside: the same batch size, so the same kernels run and the bits must be the same. Alone:
    other kernels may round otherwise, hence the contract's `batch_tolerance`.
    """
    import numpy as np

    size = subject.ports.batch
    if size is None:
        raise Skip("the model has no batch axis")
    if size == 1:
        raise Skip("the batch axis is fixed at 1, so no two samples ever meet")
    rows = ROWS if size == "free" else size
    some = {name: np.resize(v, (rows, *v.shape[1:])) for name, v in subject.samples.items()}
    together = _batch(subject, some, rows)
    beside = 0.0
    for kept in (0, rows - 1):
        others = dict(subject.noise(seed=2, rows=rows, scale=2 * subject.peak))
        for name, values in others.items():
            values[kept] = some[name][kept]
        beside = max(beside, _apart(_batch(subject, others, rows), together, kept))
    alone = 0.0
    if size == "free":
        singles = [
            _batch(subject, {name: v[row : row + 1] for name, v in some.items()}, 1)
            for row in range(rows)
        ]
        joined = {name: np.concatenate([one[name] for one in singles]) for name in together}
        alone = _apart(joined, together)
    limit = subject.contract.batch_tolerance
    return judged(
        "batch_invariant",
        beside == 0 and alone <= limit,
        found=f"{beside:.2g} beside other samples, {alone:.2g} alone"
        if size == "free"
        else f"{beside:.2g} beside other samples (batch fixed at {size})",
        expected=f"0 beside other samples, <= {limit:g} alone (shares of the largest element)",
        figures={"beside": beside, "alone": alone, "limit": limit},
    )


def _batch(subject: Subject, samples: Outputs, rows: int) -> Outputs:
    """Outputs of `samples` as one batch; a model that cannot take them so fails the line."""
    try:
        return run_samples(subject.session, samples, batch=rows)
    except BadInput as error:
        raise Fail(f"batch of {rows}: {error}") from error


def _apart(left: Outputs, right: Outputs, row: int | None = None) -> float:
    """Largest difference as a share of the largest element; equal NaN count as equal here."""
    import numpy as np

    worst = 0.0
    for name in right:
        ours, theirs = (side[name] if row is None else side[name][row] for side in (left, right))
        if np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
            continue
        if ours.dtype.kind != "f":  # a class number is another, or is not
            return float("inf")
        scale = float(np.abs(theirs).max())
        apart = float(np.abs(ours - theirs).max()) / (scale or 1.0)
        worst = max(worst, apart if np.isfinite(apart) else float("inf"))
    return worst
