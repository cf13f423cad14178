"""Faults of the file as a file: versions, side files, operators that the runtime has not got."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, version_converter

from . import edits
from .registry import fault

if TYPE_CHECKING:
    from onnx import ModelProto

    from .bases import Base
    from .registry import Files


@fault("digits tensorrt", "digits ort-x86", seen="microsoft/onnxruntime#20559")
def opset_too_new(base: Base) -> ModelProto:
    """Opset 23, which the oldest supported runtime of the target does not read."""
    model = base.proto()
    made: ModelProto = version_converter.convert_version(model, 23)
    made.ir_version = model.ir_version
    return made


@fault("digits tensorrt", "digits ort-x86", seen="microsoft/onnxruntime#23602")
def ir_too_new(base: Base) -> ModelProto:
    """IR version 12: the onnx package was newer than the runtime on the device."""
    model = base.proto()
    model.ir_version = 12
    return model


@fault("digits", "resnet18 static", seen="microsoft/onnxruntime#23602")
def weights_in_a_file_beside(base: Base) -> Files:
    """The weights lie in model.onnx.data, which a copy of the one file leaves behind."""
    model = base.proto()
    return _with_side_file(model, "model.onnx.data")


@fault("digits external", seen="root-project/root#23251", exports=True)
def side_file_of_another_model(base: Base) -> Files:
    """The file beside is that of an earlier training: same names, same sizes, other weights."""
    assert base.before is not None
    model = base.exported(base.before)
    data = _with_side_file(model, "weights.bin")["weights.bin"]
    return {"model.onnx": base.good.read_bytes(), "weights.bin": data}


@fault("digits external", seen="onnx/onnx#3157", loads=False)
def side_file_missing(base: Base) -> Files:
    """The file beside was not copied."""
    return {"model.onnx": base.good.read_bytes()}


@fault("digits external", loads=False)
def side_file_truncated(base: Base) -> Files:
    """The copy of the file beside was cut short."""
    data = (base.folder / "weights.bin").read_bytes()
    return {"model.onnx": base.good.read_bytes(), "weights.bin": data[: len(data) // 2]}


@fault("digits", loads=False)
def file_truncated(base: Base) -> Files:
    """The upload was cut short."""
    whole = base.good.read_bytes()
    return {"model.onnx": whole[: len(whole) * 2 // 3]}


@fault("digits tensorrt")
def operator_that_tensorrt_lacks(base: Base) -> ModelProto:
    """Compress, in ONNX and in ONNX Runtime, but not in TensorRT; here it changes nothing."""
    model = base.proto()
    edits.put(model.graph, "all", np.ones(10, bool))
    edits.between(model, model.graph.output[0].name, "Compress", "all", axis=1)
    return model


@fault("digits", loads=False)
def operator_of_a_library(base: Base) -> ModelProto:
    """A custom operator of a library that is not on the device."""
    model = base.proto()
    edits.between(model, model.graph.output[0].name, "Sharpen", domain="com.example")
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    return model


@fault("resnet18", "resnet18 tensorrt")
def operators_of_onnxruntime_alone(base: Base) -> ModelProto:
    """Saved after ONNX Runtime had optimised it: FusedConv and layouts that only it knows."""
    import tempfile
    from pathlib import Path

    import onnxruntime

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "optimised.onnx"
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        settings.optimized_model_filepath = str(path)
        settings.log_severity_level = 3
        onnxruntime.InferenceSession(base.good, settings, providers=["CPUExecutionProvider"])
        return onnx.load(path)


def _with_side_file(model: ModelProto, name: str) -> dict[str, bytes]:
    """The model and a file with its weights, as onnx.save writes them."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.onnx"
        onnx.save(model, path, save_as_external_data=True, location=name, size_threshold=64)
        return {"model.onnx": path.read_bytes(), name: (path.parent / name).read_bytes()}
