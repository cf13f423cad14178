"""The lines of a check that look over a file before anything reads its weights or runs it.

They hold for any file that parses as ONNX, whoever made it, and give reasons where ONNX Runtime
would give an error of its own, a crash, or no answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING

from .check_report import Line, judged
from .check_subject import Subject
from .graph_faults import graph_faults
from .model_parts import parts, shown, sparse_tensors
from .model_parts import tensors as all_tensors
from .side_file import Span, span
from .some import some
from .tensor_data import elements, fault_in_file, fault_inside

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import (
        GraphProto,
        ModelProto,
        SparseTensorProto,
        TensorProto,
        TypeProto,
        ValueInfoProto,
    )

MOST_ACTIVATION = 2**31 - 1
"""Elements; TensorRT and many kernels count them in 32 bits."""
MOST_FAULTS = 1000
"""A file of nothing but faults need not be read to its end."""


def side_files(subject: Subject) -> Line:
    """Weights outside of the file lie in its own folder, whole, and nothing else is pointed at."""
    count, faults = 0, []
    files = set()
    for held in all_tensors(subject.proto):
        if _is_outside(held.tensor):
            count += 1
            where = span(held.tensor, subject.path)
            if isinstance(where, Span):
                files.add(where.file)
            else:
                faults.append(f"{shown(held.name)} {where}")
    faults = faults[:MOST_FAULTS]
    return judged(
        "side_files",
        not faults,
        found=f"{count} tensors in {len(files)} files beside the model" if count else "none",
        expected="side files whole, and in the model's folder",
        why=some(faults),
        figures={"tensors": count, "files": len(files), "faults": len(faults)},
    )


def tensors(subject: Subject) -> Line:
    """Every tensor holds what its dims and type need, and no NaN; every shape can be a shape."""
    held = list(all_tensors(subject.proto))
    found = chain(
        (_named(each.name, _fault(each.tensor, subject.path)) for each in held),
        (_named(name, _sparse_fault(each)) for each, name in sparse_tensors(subject.proto)),
        _shape_faults(subject.proto, subject.contract.sizes),
    )
    faults = list(islice(filter(None, found), MOST_FAULTS))
    count = len(held)
    return judged(
        "tensors",
        not faults,
        found=f"{count} tensors, {len(faults)} faults" if faults else f"{count} tensors, sound",
        expected="tensors as long as their dims say, finite, of possible sizes",
        why=some(faults),
        figures={"tensors": count, "faults": len(faults)},
    )


def graph(subject: Subject) -> Line:
    """Every value has one name, one origin, and comes before it is read."""
    faults = list(islice(graph_faults(subject.proto), MOST_FAULTS))
    return judged(
        "graph",
        not faults,
        found=f"{len(faults)} faults" if faults else f"{len(subject.proto.graph.node)} operators",
        expected="each value made once, before it is read; no cycle, no recursion",
        why=some(faults),
        figures={"faults": len(faults)},
    )


def _fault(tensor: TensorProto, model: Path) -> str:
    if not _is_outside(tensor):
        return fault_inside(tensor)
    count, where = elements(tensor), span(tensor, model)
    if isinstance(count, str):
        return count
    # Where the file is not to be had, side_files has said so.
    return fault_in_file(tensor, where.file, where.offset) if isinstance(where, Span) else ""


def _sparse_fault(sparse: SparseTensorProto) -> str:
    """A sparse tensor's own dims, beside those of its two parts."""
    dims = list(sparse.dims)
    if any(size < 0 for size in dims) or math.prod(dims) > MOST_ACTIVATION:
        return f"is sparse with dims {dims[:6]}, which no dense tensor here can have"
    return ""


def _shape_faults(proto: ModelProto, sizes: Mapping[str, int]) -> Iterator[str]:
    """Declared shapes that cannot be; free axes have the check's sizes, else 1."""
    from onnx import FunctionProto

    ports = (*proto.graph.input, *proto.graph.output)
    for value in ports:
        for size in _dims(value.type, sizes):
            if size == 0:
                yield f"{shown(value.name)} is declared with size 0, so nothing goes through it"
    for part in parts(proto):
        if isinstance(part.body, FunctionProto):
            continue
        for value in _values(part.body):
            dims = list(_dims(value.type, sizes))
            if any(size < 0 for size in dims):
                yield f"{shown(value.name)} is declared {dims[:6]}, with a negative size"
            elif math.prod(dims) > MOST_ACTIVATION:
                yield (
                    f"{shown(value.name)} is declared {dims[:6]}: more than 2^31 - 1 elements,"
                    " which 32-bit kernels cannot count"
                )


def _values(body: GraphProto) -> Iterator[ValueInfoProto]:
    yield from body.input
    yield from body.output
    yield from body.value_info


def _dims(kind: TypeProto, sizes: Mapping[str, int]) -> Iterator[int]:
    """Sizes of a declared tensor type, also of those in a sequence or an optional."""
    while True:
        if kind.HasField("sequence_type"):
            kind = kind.sequence_type.elem_type
        elif kind.HasField("optional_type"):
            kind = kind.optional_type.elem_type
        else:
            break
    tensor = kind.sparse_tensor_type if kind.HasField("sparse_tensor_type") else kind.tensor_type
    for dim in tensor.shape.dim:
        yield dim.dim_value if dim.HasField("dim_value") else sizes.get(dim.dim_param, 1)


def _is_outside(tensor: TensorProto) -> bool:
    from onnx import TensorProto as T

    return tensor.data_location == T.EXTERNAL


def _named(name: str, fault: str) -> str:
    return f"{shown(name)} {fault}" if fault else ""
