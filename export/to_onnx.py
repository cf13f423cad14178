"""To ONNX: a torch network as one float ONNX graph, with markers where it is to be quantized."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .global_pool import pool_globally
from .markers import DOMAIN, OPERATOR
from .name_weights import name_linear_weights
from .onnx_writing import LARGEST_BYTES, bytes_of
from .scatter_default import drop_scatter_default
from .tidy import tidy

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnx import ModelProto
    from torch import Tensor, nn

    from ..models.quantized_layers import FakeQuantize

INPUT, OUTPUT, BATCH = "images", "logits", "N"
LOWEST_OPSET, HIGHEST_OPSET = 18, 20


def onnx_from_model(
    model: nn.Module,
    input_shape: tuple[int, ...],
    *,
    batch: int | None = None,
    opset: int = 18,
    single_file: bool = True,
) -> ModelProto:
    """The float ONNX graph of `model` for `images` of (N, *input_shape), giving `logits`.

    N is free, or `batch`; what only a free N needs (a shape computed at every run) is then gone.

    BatchNorm is folded into the convolutions. In a fake-quantized model (`fake_quant.prepare`)
    every activation point becomes a marker node and the weights stay float: `write_dialect` and
    `strip_markers` make runnable files of it. The same model gives the same bytes. `model` is not
    touched; its device does not matter.

    Raises `BadInput` if the network cannot be exported, or if it takes more than the 2 GiB that a
    `single_file` holds.
    """
    import torch

    if not LOWEST_OPSET <= opset <= HIGHEST_OPSET:
        raise BadInput(f"opset {opset} asked for; {LOWEST_OPSET} to {HIGHEST_OPSET} can be written")
    network = _exportable(model)
    if batch is not None and batch < 1:
        raise BadInput(f"batch {batch}: expected 1 or more images")
    # 0 and 1 would be taken as constants by torch.export.
    images = torch.zeros((batch or 2, *input_shape))
    _try(network, images, input_shape)
    try:
        program = torch.onnx.export(
            network,
            (images,),
            dynamo=True,
            verbose=False,
            opset_version=opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=None if batch else ({0: torch.export.Dim(BATCH)},),
            external_data=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = " ".join(str(error).split())[:300]
        raise BadInput(f"{type(model).__name__} cannot be exported to ONNX: {reason}") from error
    assert program is not None  # with dynamo=True
    exported: ModelProto = program.model_proto
    if single_file and (size := bytes_of(exported)) > LARGEST_BYTES:
        raise BadInput(
            f"the network takes {size:,} bytes and one ONNX file holds 2 GiB; keep"
            " its weights in a file beside it (--external-data)"
        )
    pool_globally(exported.graph)
    drop_scatter_default(exported.graph)
    name_linear_weights(exported.graph, network)
    tidy(exported)
    return exported


def _exportable(model: nn.Module) -> nn.Module:
    """A copy of `model` on the CPU in eval mode: folded, float weights, markers for points."""
    from ..models.fold import fold_batch_norm
    from ..models.quantized_layers import FakeQuantize, QuantizedLayer

    if any(isinstance(module, FakeQuantize) for module in model.modules()):
        network: nn.Module = copy.deepcopy(model)
        marker = _marker_class()
        for path, module in list(network.named_modules()):
            if isinstance(module, FakeQuantize):
                network.set_submodule(path, marker(module))
            elif isinstance(module, QuantizedLayer):
                module.enabled = False
    else:
        try:
            network = fold_batch_norm(model)
        except BadInput:  # not traceable by fx; the exporter may manage, and folds what it sees
            network = copy.deepcopy(model)
    return network.cpu().float().eval()


def _marker_class() -> Callable[[FakeQuantize], nn.Module]:
    import torch
    from torch import nn

    class Marker(nn.Module):
        def __init__(self, point: FakeQuantize) -> None:
            super().__init__()
            self.attributes: dict[str, int | str] = {
                "point": point.point,
                "tensorrt": int(point.tensorrt),
            }

        def forward(self, x: Tensor) -> Tensor:
            return torch.onnx.ops.symbolic(
                f"{DOMAIN}::{OPERATOR}",
                (x,),
                dict(self.attributes),
                dtype=x.dtype,
                shape=x.shape,
                version=1,
            )

    return Marker


def _try(network: nn.Module, images: Tensor, input_shape: tuple[int, ...]) -> None:
    """One forward, so that a wrong shape is told in one line, not in an exporter's report.

    Markers do not compute; what they return has the right shape and no meaning.
    """
    import torch

    try:
        with torch.no_grad():
            logits = network(images)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"the network does not accept images of {input_shape}: {reason}") from error
    if not isinstance(logits, torch.Tensor):
        raise BadInput(f"the network returns {type(logits).__name__}; one tensor is expected")
