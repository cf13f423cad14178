"""Values inside a float16 file that float16 cannot hold.

ONNX Runtime's CPU kernels compute float16 in float32 and round only what leaves a kernel, so Inf
inside such a file may never reach its outputs here; on a GPU it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .graph import copied, outputs
from .runtime import open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

AT_ONCE = 16
"""Values that are made outputs at a time: bounds the memory of a run."""


def overflowing(
    model: ModelProto, sized: ModelProto, feeds: Mapping[str, NDArray[Any]]
) -> list[str]:
    """Names of float16 values of `model` that are NaN or Inf for `feeds`, the inputs of one call.

    `model` holds its weights; `sized` is the same graph with the types of its values inferred.
    """
    import numpy as np
    from onnx import TensorProto

    halves = [
        value
        for value in sized.graph.value_info
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16
    ]
    made = {name for node in model.graph.node for name in node.output}
    names = [value.name for value in halves if value.name in made - outputs(model.graph)]
    found: list[str] = []
    for start in range(0, len(names), AT_ONCE):
        shown = copied(model)
        del shown.graph.output[:]
        for name in names[start : start + AT_ONCE]:
            shown.graph.output.add(name=name).type.tensor_type.elem_type = TensorProto.FLOAT16
        session = open_session(shown.SerializeToString(), fused=False)
        got = session.run(names[start : start + AT_ONCE], feeds)
        chunk = zip(names[start : start + AT_ONCE], got, strict=True)
        found += [name for name, values in chunk if not np.isfinite(values).all()]
    return found
