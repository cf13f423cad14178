"""What one call of a model takes, cut from its samples."""

# N samples

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .ports import Ports

    Feeds = Mapping[str, NDArray[Any]]


def one_call(model: Ports, samples: Feeds, rows: int | None) -> dict[str, NDArray[Any]]:
    """The first `rows` of `samples` (N, ...) for every input, repeated where there are fewer.

    None for a model without a batch axis: then one sample is all that a call takes.
    """
    import numpy as np

    fed = {}
    for port in model.inputs:
        values = samples[port.name].astype(port.dtype, copy=False)
        fed[port.name] = (
            np.asarray(values[0]) if rows is None else np.resize(values, (rows, *values.shape[1:]))
        )
    return fed
