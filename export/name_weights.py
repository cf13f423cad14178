"""MatMul(x, nameless constant) --> MatMul(x, `<module>.weight`).

For a linear layer on more than two axes the exporter stores the transposed weight, and its name is
lost; ranges are known by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .graph import constants, reread

if TYPE_CHECKING:
    from onnx import GraphProto
    from torch import nn


def name_linear_weights(graph: GraphProto, network: nn.Module) -> int:
    """Renames such constants in place after the layer of `network` that holds their values."""
    from onnx import numpy_helper
    from torch import nn

    linear = {
        path: module.weight.detach().numpy().T
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear)
    }
    known = constants(graph)
    renamed = 0
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in known:
            continue
        name = node.input[1]
        values = numpy_helper.to_array(known[name])
        for path, weight in linear.items():
            if f"{path}.weight" not in known and np.array_equal(values, weight):
                reread(graph.node, name, f"{path}.weight")
                known[name].name = f"{path}.weight"
                known = constants(graph)
                renamed += 1
                break
    return renamed
