"""torch's two exporters and ONNX Runtime's quantizer, each as its own documentation advises."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import onnx

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor, nn


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what exporters and quantizers tell of their passes."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def dynamo(
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    *,
    opset: int = 18,
    batch: str | None = "N",
) -> ModelProto:
    """By the exporter built on torch.export; `batch` names the free first axis, None fixes it."""
    import torch

    free = None
    if batch is not None:
        free = tuple({0: torch.export.Dim(batch)} for _ in inputs)
    with quiet():
        program = torch.onnx.export(
            network,
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            opset_version=opset,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=free,
            external_data=False,
        )
    assert program is not None  # with dynamo=True
    made: ModelProto = program.model_proto
    return made


def torchscript(
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    *,
    opset: int = 17,
    batch: str = "batch_size",
    fold: bool = True,
) -> ModelProto:
    """By the older exporter, which traces; without `fold`, BatchNorm stays a node of its own."""
    import torch

    with tempfile.TemporaryDirectory() as place, quiet():
        path = Path(place) / "model.onnx"
        torch.onnx.export(
            network,
            tuple(inputs.values()),
            path,
            dynamo=False,
            opset_version=opset,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: {0: batch} for name in (*inputs, *outputs)},
            training=torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=fold,
        )
        return onnx.load(path)


def quantized_statically(
    model: ModelProto, batches: Sequence[Mapping[str, Any]], *, per_channel: bool = True
) -> ModelProto:
    """As onnxruntime.quantization advises for x86-64: Q/DQ, uint8 activations, int8 weights."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    left = iter(batches)
    with tempfile.TemporaryDirectory() as place, quiet():
        whole, ready, done = (Path(place) / f"{name}.onnx" for name in ("whole", "ready", "done"))
        onnx.save(model, whole)
        quant_pre_process(str(whole), str(ready))
        quantize_static(
            str(ready),
            str(done),
            SimpleNamespace(get_next=lambda: next(left, None)),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=per_channel,
        )
        return onnx.load(done)


def optimised(model: ModelProto) -> ModelProto:
    """By ONNX Runtime's basic level: constants and BatchNorm folded, standard operators only."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "optimised.onnx"
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        settings.optimized_model_filepath = str(path)
        settings.log_severity_level = 3
        onnxruntime.InferenceSession(
            model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        made = onnx.load(path)
    # ONNX Runtime lists every domain that it knows, used or not.
    used = {node.domain or "" for node in made.graph.node}
    for entry in [e for e in made.opset_import if e.domain not in used | {"", "ai.onnx"}]:
        made.opset_import.remove(entry)
    return made
