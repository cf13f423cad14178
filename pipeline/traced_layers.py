"""The layers that a network of anybody's runs, seen while one image goes through it.

A layer is what TensorRT runs by itself: a convolution, matrix product, pooling, softmax or change
of size. Batch norm, activation functions and residual sums are taken as fused into one of them, as
benchmarks/measured_networks.py takes them for the networks that the estimate was fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ..deploy.measured_rows import NetworkWork
from ..models.layer import Layer
from ..models.modes import in_eval_mode

POOLS = ("max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "mean", "_softmax")
RESIZES = ("upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d")
PRODUCTS = ("addmm", "mm", "bmm")


@dataclass
class Traced:
    """What one image through a network runs."""

    layers: list[Layer] = field(default_factory=list)
    """Those that a `Layer` can tell, in the order in which they run."""
    others: list[str] = field(default_factory=list)
    """Those that it cannot, in words."""
    macs: int = 0
    depthwise_macs: int = 0
    params: int = 0
    activations: int = 0
    count: int = 0

    @property
    def work(self) -> NetworkWork:
        """Their totals, those of `others` included."""
        return NetworkWork(
            macs=self.macs,
            depthwise_macs=self.depthwise_macs,
            params=self.params,
            activations=self.activations,
            layers=self.count,
        )

    def take(self, layer: Layer | str, elements: int, macs: int = 0) -> None:
        """One layer more, that reads and writes so many elements besides its weights."""
        if isinstance(layer, Layer):
            self.layers.append(layer)
            self.depthwise_macs += macs if layer.kind == "depthwise" else 0
        else:
            self.others.append(layer)
        self.macs += macs
        self.activations += elements
        self.count += 1


def traced(model: nn.Module, input_shape: tuple[int, int, int]) -> Traced:
    """What one (C, H, W) image runs in `model`, in eval mode; the model's mode is restored."""
    parameters = list(model.parameters())
    found = Traced(params=sum(each.numel() for each in parameters))
    device = parameters[0].device if parameters else torch.device("cpu")
    with in_eval_mode(model), torch.no_grad(), _Watching(found):
        model(torch.zeros(1, *input_shape, device=device))
    return found


class _Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within the block, every operation of torch that is a layer is taken."""

    def __init__(self, found: Traced) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = found

    def __torch_dispatch__(  # the name that torch calls
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """The operation's own result."""
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name == "convolution":
            read, weight, transposed = args[0], args[1], args[6]
            elements, moves = read.numel() + out.numel(), read if transposed else out
            self.found.take(_convolution(args, out), elements, moves.numel() * weight[0].numel())
        elif name in PRODUCTS:
            left, right = args[-2:]
            second = right.numel() if name == "bmm" else 0
            macs = left.numel() * right.shape[-1]
            self.found.take(_product(name, left, out), left.numel() + second + out.numel(), macs)
        elif name in POOLS + RESIZES:
            wrote = out[0] if isinstance(out, tuple) else out
            self.found.take(_pooling(name, args, wrote), args[0].numel() + wrote.numel())
        elif name in ("add", "add_") and self.found.layers and _is_residual(args):
            self.found.layers[-1] = replace(self.found.layers[-1], adds=1)
        return out


def _convolution(args: Any, out: Any) -> Layer | str:
    read, weight, bias, stride, _, dilation, transposed, _, groups = args[:9]
    channels_in, channels_out = int(read.shape[1]), int(out.shape[1])
    kernel = tuple(weight.shape[2:])
    depthwise = groups > 1 and groups == channels_in == channels_out
    if transposed:
        return "a transposed convolution"
    if groups > 1 and not depthwise:
        return f"a convolution of {groups} groups"
    if any(step != 1 for step in dilation):
        return "a dilated convolution"
    if not _square(read) or len(set(kernel)) != 1 or len(set(stride)) != 1:
        return f"a convolution of {'x'.join(map(str, kernel))} over {_sizes(read)} pixels"
    layer = Layer(
        kind="depthwise" if depthwise else "conv",
        channels_in=channels_in,
        channels_out=channels_out,
        size=int(read.shape[-1]),
        kernel=int(kernel[0]),
        stride=int(stride[0]),
        norm=bias is None,
    )
    if not _square(out) or out.shape[-1] != layer.size_out:
        return f"a convolution from {_sizes(read)} to {_sizes(out)} pixels"
    return layer


def _product(name: str, left: Any, out: Any) -> Layer | str:
    if name == "bmm" or left.shape[0] != 1:
        return "a matrix product of activations"
    features_in, features_out = int(left.shape[1]), int(out.shape[1])
    return Layer(
        kind="linear", channels_in=features_in, channels_out=features_out, size=1, kernel=0
    )


def _pooling(name: str, args: Any, wrote: Any) -> Layer | str:
    read = args[0]
    if read.dim() == 4 and _square(read) and name in ("_adaptive_avg_pool2d", "mean"):
        channels = int(read.shape[1])
        if wrote.numel() == channels:
            return Layer(
                kind="global_pool",
                channels_in=channels,
                channels_out=channels,
                size=int(read.shape[-1]),
                kernel=0,
            )
    if name == "max_pool2d_with_indices" and _square(read) and _square(wrote):
        kernel, stride = args[1], args[2] if len(args) > 2 and args[2] else args[1]
        layer = Layer(
            kind="max_pool",
            channels_in=int(read.shape[1]),
            channels_out=int(read.shape[1]),
            size=int(read.shape[-1]),
            kernel=int(kernel[0]),
            stride=int(stride[0]),
        )
        if len({*kernel}) == len({*stride}) == 1 and layer.size_out == wrote.shape[-1]:
            return layer
    return f"{name.strip('_')} from {_sizes(read)} to {_sizes(wrote)}"


def _is_residual(args: Any) -> bool:
    return all(isinstance(each, torch.Tensor) and each.dim() == 4 for each in args[:2])


def _square(tensor: Any) -> bool:
    return bool(tensor.dim() == 4 and tensor.shape[2] == tensor.shape[3])


def _sizes(tensor: Any) -> str:
    return "x".join(str(side) for side in tensor.shape[2:]) or str(tensor.shape[-1])
