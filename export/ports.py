"""What any ONNX model takes and gives, and samples through it in ONNX Runtime."""

# N samples

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..models.errors import BadInput
from .runtime import refused, runtime_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

# ONNX Runtime's words for element types; a model with others (text, sequences, maps) has no arrays.
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(uint16)": "uint16",
    "tensor(int16)": "int16",
    "tensor(uint32)": "uint32",
    "tensor(int32)": "int32",
    "tensor(uint64)": "uint64",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


@dataclass(frozen=True, kw_only=True)
class Port:
    """One input or output."""

    name: str
    dtype: str
    """Element type in numpy's words."""
    shape: tuple[int | str | None, ...]
    """A free axis is its name, or None where it has none."""

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.dtype} ({sizes})"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """All inputs and outputs of a model, in the file's order."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def batch(self) -> Literal["free"] | int | None:
        """The axis that all inputs share as their first: free, or of that size.

        None where they share none, or a fixed one that not every output has: then one call of the
        model is one sample.
        """
        firsts = {port.shape[0] if port.shape else 0 for port in self.inputs}
        if len(firsts) != 1:
            return None
        (first,) = firsts
        if not isinstance(first, int):
            return "free"
        rows = {port.shape[0] if port.shape else 0 for port in self.outputs}
        others = {size for size in rows if isinstance(size, int) and size != first}
        return first if first > 0 and not others else None

    def __str__(self) -> str:
        taken, given = (", ".join(map(str, side)) for side in (self.inputs, self.outputs))
        return f"{taken} -> {given}"


def ports(session: InferenceSession) -> Ports:
    """The inputs and outputs of `session`; `BadInput` for one that is no tensor of numbers."""
    return Ports(
        inputs=tuple(map(_port, session.get_inputs())),
        outputs=tuple(map(_port, session.get_outputs())),
    )


def run_samples(
    session: InferenceSession, feeds: Mapping[str, NDArray[Any]], *, batch: int = 64
) -> dict[str, NDArray[Any]]:
    """Every output by name, (N, ...), for N samples.

    `feeds` has (N, ...) for every input; a sample of a model without a batch axis is all that one
    call takes. Where the batch axis is fixed, the last batch is filled up with repeats, whose
    outputs are dropped. Raises `BadInput` if the feeds do not fit, if the model fails on them, or
    if its outputs cannot be lined up with the samples.
    """
    import numpy as np

    model = ports(session)
    count = fits(model, feeds)
    size = model.batch
    calls: list[Sequence[NDArray[Any]]] = []
    for rows in _calls(count, size, batch):
        fed = {
            port.name: feeds[port.name][rows.start : rows.stop].astype(port.dtype, copy=False)
            for port in model.inputs
        }
        if size is None:
            fed = {name: np.asarray(values[0]) for name, values in fed.items()}
        wanted = len(rows)
        if isinstance(size, int) and wanted < size:
            fed = {name: _filled(values, size) for name, values in fed.items()}
        try:
            given = session.run([port.name for port in model.outputs], fed)
        except runtime_errors() as error:
            shapes = ", ".join(f"{name} {values.shape}" for name, values in fed.items())
            raise refused(f"the model fails on {shapes}", error) from error
        whole = size if isinstance(size, int) else wanted
        outs = zip(model.outputs, map(np.asarray, given), strict=True)
        calls.append([_rows(port, out, size, whole)[:wanted] for port, out in outs])
    return _joined(model, calls)


def fits(model: Ports, feeds: Mapping[str, NDArray[Any]]) -> int:
    """N, the number of samples in `feeds`; `BadInput` if they are not what `model` takes."""
    wanted, got = {port.name for port in model.inputs}, set(feeds)
    if wanted != got:
        raise BadInput(f"the model takes {_names(wanted)}, the samples are for {_names(got)}")
    counts = {len(values) if values.ndim else 0 for values in feeds.values()}
    if len(counts) != 1 or 0 in counts:
        raise BadInput(f"the samples have {sorted(counts)} rows; expected as many for every input")
    for port in model.inputs:
        sizes = feeds[port.name].shape[1:]
        expected = port.shape if model.batch is None else port.shape[1:]
        same = len(sizes) == len(expected) and all(
            not isinstance(want, int) or want == have
            for want, have in zip(expected, sizes, strict=True)
        )
        if not same:
            raise BadInput(f"the model takes {port}, a sample is {sizes}")
        if not _same_kind(port.dtype, feeds[port.name]):
            raise BadInput(f"the model takes {port}, the samples are {feeds[port.name].dtype}")
    return counts.pop()


def _same_kind(dtype: str, values: NDArray[Any]) -> bool:
    """Floats of any width for floats; whole numbers for whole numbers that hold their values."""
    import numpy as np

    wanted = np.dtype(dtype)
    if "f" in (wanted.kind, values.dtype.kind) or "b" in (wanted.kind, values.dtype.kind):
        return wanted.kind == values.dtype.kind
    held = np.iinfo(wanted)
    return held.min <= int(values.min()) and int(values.max()) <= held.max


def _port(value: Any) -> Port:
    if value.type not in DTYPES:
        raise BadInput(f"{value.name} is {value.type}; expected a tensor of numbers")
    shape = tuple(size if isinstance(size, int) else (size or None) for size in value.shape)
    return Port(name=value.name, dtype=DTYPES[value.type], shape=shape)


def _calls(count: int, size: Literal["free"] | int | None, batch: int) -> list[range]:
    step = batch if size == "free" else size or 1
    return [range(start, min(start + step, count)) for start in range(0, count, step)]


def _filled(values: NDArray[Any], size: int) -> NDArray[Any]:
    import numpy as np

    return np.concatenate([values, np.repeat(values[-1:], size - len(values), axis=0)])


def _rows(
    port: Port, out: NDArray[Any], size: Literal["free"] | int | None, rows: int
) -> NDArray[Any]:
    """`out` with a row for each sample of its call."""
    if size is None:
        return out[None]
    if not out.ndim or len(out) != rows:
        raise BadInput(
            f"the output {port.name} is {out.shape} for {rows} samples; expected a row for each"
        )
    return out


def _joined(model: Ports, calls: Sequence[Sequence[NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    import numpy as np

    joined = {}
    for position, port in enumerate(model.outputs):
        parts = [call[position] for call in calls]
        sizes = sorted({part.shape[1:] for part in parts})
        if len(sizes) > 1:
            raise BadInput(
                f"the output {port.name} has {sizes[0]} for one sample and {sizes[1]} for another;"
                " they cannot be compared row by row"
            )
        joined[port.name] = np.concatenate(parts)
    return joined


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
