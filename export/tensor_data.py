"""Whether a tensor of an ONNX file holds what its dims and its type need, and finite numbers."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import TensorProto

MOST_ELEMENTS = 2**40
"""More than any file holds; a product of dims beyond it is a fault and not a size."""
CHUNK = 1 << 24
"""Elements looked at at a time: a mask of 16 MB."""


class Kind(NamedTuple):
    """An element type: its bits, the field for values that are not raw, how to look for NaN."""

    bits: int
    field: str
    per_element: float = 1.0
    """Entries of that field for each element."""
    finite: tuple[str, int, int] | str = ""
    """numpy's word for it, or that for its bits with a mask and the masked bits of NaN and Inf."""


@cache
def kinds() -> dict[int, Kind]:
    """Element types by their number in ONNX (onnx.proto, TensorProto.DataType), all but strings."""
    from onnx import TensorProto as T

    small = "int32_data"
    known = {
        "FLOAT": Kind(32, "float_data", 1, "<f4"),
        "DOUBLE": Kind(64, "double_data", 1, "<f8"),
        "COMPLEX64": Kind(64, "float_data", 2, "<c8"),
        "COMPLEX128": Kind(128, "double_data", 2, "<c16"),
        "FLOAT16": Kind(16, small, 1, "<f2"),
        # The upper half of a float32: 8 exponent bits, all set for NaN and Inf.
        "BFLOAT16": Kind(16, small, 1, ("<u2", 0x7F80, 0x7F80)),
        "FLOAT8E4M3FN": Kind(8, small, 1, ("u1", 0x7F, 0x7F)),
        "FLOAT8E4M3FNUZ": Kind(8, small, 1, ("u1", 0xFF, 0x80)),
        "FLOAT8E5M2": Kind(8, small, 1, ("u1", 0x7C, 0x7C)),
        "FLOAT8E5M2FNUZ": Kind(8, small, 1, ("u1", 0xFF, 0x80)),
        "FLOAT8E8M0": Kind(8, small, 1, ("u1", 0xFF, 0xFF)),
        "INT64": Kind(64, "int64_data"),
        "UINT64": Kind(64, "uint64_data"),
        "UINT32": Kind(32, "uint64_data"),
        "INT32": Kind(32, small),
        "INT16": Kind(16, small),
        "UINT16": Kind(16, small),
        "INT8": Kind(8, small),
        "UINT8": Kind(8, small),
        "BOOL": Kind(8, small),
        "INT4": Kind(4, small, 0.5),
        "UINT4": Kind(4, small, 0.5),
        "FLOAT4E2M1": Kind(4, small, 0.5),
        "INT2": Kind(2, small, 0.25),
        "UINT2": Kind(2, small, 0.25),
    }
    names = dict(T.DataType.items())
    return {names[name]: kind for name, kind in known.items() if name in names}


FIELDS = (
    "float_data",
    "double_data",
    "int32_data",
    "int64_data",
    "uint64_data",
    "string_data",
)


def elements(tensor: TensorProto) -> int | str:
    """How many elements the dims say, or what is wrong with them."""
    dims = list(tensor.dims)
    if any(size < 0 for size in dims):
        return f"has dims {_text(dims)}, one of them negative"
    count: int = math.prod(dims)
    if count > MOST_ELEMENTS:
        return f"has dims {_text(dims)}, {count:.3g} elements, more than any file holds"
    return count


def expected_bytes(tensor: TensorProto) -> int | str:
    """Bytes of the tensor's values, or what is wrong with its dims or its type."""
    count = elements(tensor)
    if isinstance(count, str):
        return count
    kind = kinds().get(tensor.data_type)
    if kind is None:
        return f"has the element type {tensor.data_type}, whose size is not known"
    return (count * kind.bits + 7) // 8


def fault_inside(tensor: TensorProto) -> str:
    """What is wrong with a tensor whose values stand in the file itself; "" if nothing."""
    import numpy as np
    from onnx import TensorProto as T

    count = elements(tensor)
    if isinstance(count, str):
        return count
    raw = tensor.raw_data  # once: each look copies it
    held = {name: found for name in FIELDS if (found := len(getattr(tensor, name)))}
    held |= {"raw_data": len(raw)} if raw else {}
    if len(held) > 1:
        return f"holds its values twice, in {' and '.join(held)}"
    name, found = next(iter(held.items()), ("", 0))
    if tensor.data_type == T.STRING:
        return _length(count, found, "texts", name, "string_data")
    wanted = expected_bytes(tensor)
    if isinstance(wanted, str):
        return wanted
    kind = kinds()[tensor.data_type]
    if raw:
        dtype = _dtype(kind)
        wrong = _length(wanted, found, "bytes", name, name)
        return wrong or (_broken(np.frombuffer(raw, dtype), kind) if dtype else "")
    wrong = _length(math.ceil(count * kind.per_element), found, "values", name, kind.field)
    return wrong or (_broken(_typed(tensor, kind), kind) if kind.finite else "")


def fault_in_file(tensor: TensorProto, file: Path, offset: int) -> str:
    """The same for values in a side file, from `offset`, which must reach for all of them."""
    import numpy as np

    dtype, count = _dtype(kinds()[tensor.data_type]), math.prod(tensor.dims)
    if not dtype or not count:
        return ""
    values = np.memmap(file, dtype, mode="r", offset=offset, shape=(count,))
    return _broken(values, kinds()[tensor.data_type])


def _dtype(kind: Kind) -> str:
    return kind.finite if isinstance(kind.finite, str) else kind.finite[0]


def _typed(tensor: TensorProto, kind: Kind) -> NDArray[Any]:
    """Values that are not raw; the small types stand as bits in wider integers."""
    import numpy as np

    values = np.array(getattr(tensor, kind.field))
    if kind.field != "int32_data":
        return values
    return values.astype(f"<u{kind.bits // 8}").view(_dtype(kind))


def _broken(values: NDArray[Any], kind: Kind) -> str:
    count = sum(_not_finite(values[at : at + CHUNK], kind) for at in range(0, len(values), CHUNK))
    return f"has NaN or Inf in {count:,} of {len(values):,} values" if count else ""


def _not_finite(values: NDArray[Any], kind: Kind) -> int:
    import numpy as np

    if isinstance(kind.finite, str):
        return len(values) - int(np.count_nonzero(np.isfinite(values)))
    _, mask, bits = kind.finite
    return int(np.count_nonzero((values & mask) == bits))


def _length(wanted: int, found: int, what: str, name: str, expected: str) -> str:
    if found and name != expected:
        return f"holds {found} values in {name}; its type has them in {expected}"
    if found != wanted:
        return f"holds {found:,} {what}; its dims and type need {wanted:,}"
    return ""


def _text(dims: list[int]) -> str:
    shown = ", ".join(map(str, dims[:6])) + (", ..." if len(dims) > 6 else "")
    return f"({shown})"
