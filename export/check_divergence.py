"""Where a model leaves its reference, for the line that says how far it is from it."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from ..models.errors import BadInput
from .check_subject import Subject

SAMPLES = 4
_FOUND: WeakKeyDictionary[Subject, str] = WeakKeyDictionary()
"""One search for all lines about parity."""


def where_it_diverges(subject: Subject) -> str:
    """The first layer that computes something else than the reference's, "" where none is found.

    Searched between two ONNX files, on a few samples; a record of outputs has no layers.
    """
    if subject not in _FOUND:
        _FOUND[subject] = _searched(subject)
    return _FOUND[subject]


def _searched(subject: Subject) -> str:
    from .divergence import first_divergence

    if subject.reference is None or subject.recorded is not None:
        return ""
    few = {name: values[:SAMPLES] for name, values in subject.samples.items()}
    try:
        found = first_divergence(subject.reference.path, subject.path, few)
    except BadInput as reason:
        return f"which layer differs cannot be told: {reason}"
    return "" if found is None else f"first layer that differs: {found}"
