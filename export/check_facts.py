"""What a check tells of the model beside its verdicts: interface, domains, types, metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .check_interface import used_domains
from .check_report import Fail, Skip
from .check_subject import Subject
from .number_types import number_types

if TYPE_CHECKING:
    from .ports import Port

MOST_METADATA = 100_000
"""Characters of metadata that a report takes over."""


def facts(subject: Subject, *, loaded: bool) -> dict[str, Any]:
    """{"inputs", "outputs", "batch", "samples", "domains", "numbers", "metadata"}, as far as the
    file says so: of one that cannot be read {}, and without the first four unless it was `loaded`.
    """
    try:
        proto = subject.proto
    except Fail:
        return {}
    told: dict[str, Any] = {
        "domains": sorted(used_domains(proto.graph, *proto.functions)),
        "numbers": number_types(proto),
        "metadata": _metadata(subject),
    }
    if not loaded:  # what the lines kept from ONNX Runtime is not shown to it here
        return told
    try:
        model = subject.ports
        told |= {"inputs": _told(model.inputs), "outputs": _told(model.outputs)}
        told |= {"batch": model.batch}
        told |= {"samples": {name: list(shape) for name, shape in subject.shapes.items()}}
    except (Fail, Skip, BadInput):
        pass  # a line of the check says why
    return told


def _told(ports: Sequence[Port]) -> list[dict[str, Any]]:
    return [{"name": each.name, "dtype": each.dtype, "shape": list(each.shape)} for each in ports]


def _metadata(subject: Subject) -> dict[str, str]:
    told, room = {}, MOST_METADATA
    for entry in subject.proto.metadata_props:
        room -= len(entry.key) + len(entry.value)
        if room < 0:
            break
        told[entry.key] = entry.value
    return told
