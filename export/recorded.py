"""Inputs and outputs of a known-good model, recorded in an .npz file.

Arrays are named "inputs/NAME" and "outputs/NAME", each (N, ...), and optionally "labels" (N,).
A file of samples alone has arrays by the name of the input, and optionally "labels".
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIX = ".npz"
INPUT, OUTPUT, LABELS = "inputs/", "outputs/", "labels"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a file holds; without outputs it holds samples alone."""

    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]
    labels: NDArray[Any] | None


def read_recorded(path: Path) -> Recorded:
    """The arrays in `path`. `BadInput`: no such file, or it holds something else."""
    arrays = _arrays(path)
    labels = arrays.pop(LABELS, None)
    outputs = {
        name.removeprefix(OUTPUT): values
        for name, values in arrays.items()
        if name.startswith(OUTPUT)
    }
    inputs = {
        name.removeprefix(INPUT): values
        for name, values in arrays.items()
        if not name.startswith(OUTPUT)
    }
    found = {**inputs, **outputs} | ({} if labels is None else {LABELS: labels})
    odd = [name for name, values in found.items() if values.dtype.kind not in "fiub"]
    if odd:
        raise BadInput(f"{path}: {odd[0]} is {found[odd[0]].dtype}; expected numbers")
    rows = {name: len(values) if values.ndim else 0 for name, values in found.items()}
    if not inputs or len(set(rows.values())) != 1 or 0 in rows.values():
        told = ", ".join(f"{name} {found[name].shape}" for name in found) or "no arrays"
        raise BadInput(f"{path}: found {told}; expected inputs with as many rows in every array")
    return Recorded(inputs=inputs, outputs=outputs, labels=labels)


def record(
    path: Path,
    inputs: Mapping[str, NDArray[Any]],
    outputs: Mapping[str, NDArray[Any]],
    labels: NDArray[Any] | None = None,
) -> None:
    """Write what `read_recorded` reads: N samples and what the known-good model makes of them."""
    import numpy as np

    arrays = {f"{INPUT}{name}": values for name, values in inputs.items()}
    arrays |= {f"{OUTPUT}{name}": values for name, values in outputs.items()}
    if labels is not None:
        arrays[LABELS] = labels
    with path.open("wb") as file:  # by name, numpy would add a suffix
        np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes arrays to be options


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    import numpy as np

    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected arrays in an .npz file")
    try:
        with path.open("rb") as file:  # numpy leaves a broken one open
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise BadInput(f"{path}: a single array; expected an .npz file of named arrays")
            return {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise BadInput(f"{path}: not an .npz file of numbers: {error}") from error
