"""Shapes that a run shows, for values whose shapes ONNX cannot infer from the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .check_report import Skip
from .runtime import one_line, runtime_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

MOST_VALUES = 2000
"""Outputs of one run; beyond that a session takes longer than what it tells is worth."""


def with_seen_shapes(
    model: ModelProto,
    names: Sequence[str],
    feeds: Mapping[str, NDArray[Any]],
    *,
    run: ModelProto,
    folder: Path,
) -> ModelProto:
    """A copy of `model` with the shapes that the values `names` have for `feeds` among its own.

    `run` is the same model with its weights; `folder` has its side files. Only values of the graph
    itself are seen, none inside of If, Loop and Scan. Raises `Skip` where ONNX Runtime does not run
    it.
    """
    import onnx
    import onnxruntime as ort
    from onnx import helper

    copy = onnx.ModelProto()
    copy.CopyFrom(run)
    made = {name for node in copy.graph.node for name in node.output}
    wanted = [name for name in names if name in made][:MOST_VALUES]
    given = {value.name for value in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in given)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(folder)
    )
    try:
        session = ort.InferenceSession(
            copy.SerializeToString(), options, ["CPUExecutionProvider"], enable_fallback=0
        )
        arrays = session.run(wanted, dict(feeds))
    except runtime_errors() as error:
        raise Skip(f"the shapes of its values cannot be seen: {one_line(error)}") from error
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    for name, array in zip(wanted, arrays, strict=True):
        if hasattr(array, "dtype"):  # sequences and absent values have no shape
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            shape = helper.make_tensor_value_info(name, kind, list(array.shape))
            sized.graph.value_info.append(shape)
    return sized
