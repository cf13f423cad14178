"""Cost of any network, by counting: fvcore for MACs and parameters, torch.fx for live memory.

For our own families this equals `models/cost.py`'s closed form; that is how the form is tested.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, fx, nn
from torch.jit._trace import TracerWarning  # torch.jit passes it on without exporting it

from .cost import FLOAT32_BYTES, Cost
from .errors import BadInput
from .liveness import peak_activation_bytes
from .modes import in_eval_mode
from .tracing import ERRORS

# Arithmetic that fvcore passes over in silence; a budget must not be met by what was not counted.
UNCOUNTED = frozenset(
    f"aten::{name}"
    for name in ("lstm", "gru", "rnn_tanh", "rnn_relu", "scaled_dot_product_attention", "cdist")
)


def measure(model: nn.Module, input_shape: tuple[int, int, int]) -> Cost:
    """Cost of one (C, H, W) image through `model`, in eval mode, as `Cost` defines it.

    `peak_activation_bytes` is None where torch.fx cannot trace the model. Parameters outside
    convolutions and linear layers are counted in float32; a batch norm that follows a convolution
    is folded away, any other keeps a scale and a shift per channel. The model's mode is restored.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    images = torch.zeros(1, *input_shape, device=device)
    with in_eval_mode(model):
        macs, params = _fvcore(model, images)
        traced = _traced(model)
        weights, channels, rest = _folded_elements(model, traced)
        return Cost(
            macs=macs,
            params=params,
            peak_activation_bytes=None if traced is None else peak_activation_bytes(traced, images),
            bytes_fp32=FLOAT32_BYTES * (weights + channels + rest),
            bytes_int8=weights + FLOAT32_BYTES * (2 * channels + rest),
        )


def _fvcore(model: nn.Module, images: Tensor) -> tuple[int, int]:
    with warnings.catch_warnings():
        # fvcore scripts its focal loss on import; torch has deprecated torch.jit.script.
        warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated")
        from fvcore.nn import FlopCountAnalysis, parameter_count

    with torch.no_grad(), warnings.catch_warnings():
        # fvcore counts on a torch.jit trace, and a trace warns of every shape that Python reads.
        warnings.simplefilter("ignore", TracerWarning)
        warnings.filterwarnings("ignore", message="`torch.jit.trace")
        counted = FlopCountAnalysis(model, (images,))
        counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        macs = int(counted.total())
        uncounted = sorted(UNCOUNTED & counted.unsupported_ops().keys())
        if uncounted:
            raise BadInput(
                f"fvcore cannot count {', '.join(uncounted)}, so the MACs would be too few;"
                " use a network of convolutions and linear layers"
            )
        return macs, int(parameter_count(model)[""])


def _traced(model: nn.Module) -> fx.GraphModule | None:
    if isinstance(model, fx.GraphModule):
        return model
    try:
        return fx.symbolic_trace(model)
    except ERRORS:
        return None


def _folded_elements(model: nn.Module, traced: fx.GraphModule | None) -> tuple[int, int, int]:
    """Elements of int8 weights, their output channels, and elements that stay float32."""
    folded = set() if traced is None else set(_folded_norms(traced))
    weights = channels = rest = 0
    for path, module in model.named_modules():
        own = sum(p.numel() for p in module.parameters(recurse=False))
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            weights += module.weight.numel()
            channels += module.weight.shape[0]
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            rest += 0 if path in folded else 2 * module.num_features
        else:
            rest += own
    return weights, channels, rest


def _folded_norms(traced: fx.GraphModule) -> Iterator[str]:
    """Paths of batch norms whose only input is a convolution that feeds nothing else."""
    modules = dict(traced.named_modules())
    for node in traced.graph.nodes:
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        before = node.all_input_nodes[0]
        after_conv = before.op == "call_module" and isinstance(modules[before.target], nn.Conv2d)
        if after_conv and len(before.users) == 1:
            yield node.target
