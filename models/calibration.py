"""Calibration: the range of every quantization point, from data, before any fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .errors import BadInput
from .modes import in_eval_mode
from .quantized_layers import TINY, FakeQuantize, QuantizedLayer, largest

Method = Literal["mse", "percentile", "minmax"]
METHODS: tuple[Method, ...] = ("mse", "percentile", "minmax")

BINS = 2048
SHARES = (0.2, 1.0, 81)  # of the largest value: what "mse" tries as the range, in steps of 1 %


@torch.no_grad()
def calibrate(
    prepared: nn.Module,
    batches: Iterable[Tensor],
    *,
    method: Method = "mse",
    percentile: float = 99.99,
) -> None:
    """Sets every `amax` from the values of the float network on `batches`, (B, C, H, W) each.

    "minmax" takes the largest magnitude, "percentile" the magnitude that `percentile` % of the
    values do not exceed, "mse" the one with the least squared rounding error on the training grid.
    The last two read histograms of 2048 bins in a second pass, so `batches` must be iterable twice.
    Weights stay as they are, and so does the mode (train or eval).

    Raises `BadInput` for an unknown method, values that are not finite, no images in either pass,
    and a network in which nothing is to be rounded.
    """
    if method not in METHODS:
        raise BadInput(f"unknown calibration {method!r}; known: {', '.join(METHODS)}")
    if not any(isinstance(module, FakeQuantize) for module in prepared.modules()):
        raise BadInput("nothing of the network is in 8 bits: it has no quantization points")
    if not 0 < percentile <= 100:
        raise BadInput(f"percentile {percentile} found; above 0 and at most 100 expected")
    with in_eval_mode(prepared), rounding(prepared, on=False):
        limits = _largest_seen(prepared, batches)
        shares = dict.fromkeys(limits, 1.0)
        if method != "minmax":
            for point, histogram in _histograms(prepared, batches, limits).items():
                shares[point] = (
                    _least_error(histogram, point.levels)
                    if method == "mse"
                    else _percentile(histogram, percentile)
                )
    for point, limit in limits.items():
        point.amax.fill_(max(limit * shares[point], TINY))


@contextmanager
def rounding(prepared: nn.Module, *, on: bool) -> Iterator[None]:
    """Within the block every point and every layer of the network rounds, or none does."""
    modules = [
        each for each in prepared.modules() if isinstance(each, (FakeQuantize, QuantizedLayer))
    ]
    before = [module.enabled for module in modules]
    for module in modules:
        module.enabled = on
    try:
        yield
    finally:
        for module, enabled in zip(modules, before, strict=True):
            module.enabled = enabled


def _largest_seen(prepared: nn.Module, batches: Iterable[Tensor]) -> dict[FakeQuantize, float]:
    seen: dict[FakeQuantize, Tensor] = {}

    def look(point: FakeQuantize, x: Tensor) -> None:
        now = largest(x.float(), signed=point.signed)
        seen[point] = torch.maximum(seen[point], now) if point in seen else now

    _watch(prepared, batches, look)
    if not seen:
        raise BadInput("no images to calibrate with: the batches are empty")
    limits = {point: float(value) for point, value in seen.items()}
    for point, limit in limits.items():
        if not limit < float("inf"):
            raise BadInput(
                f"point {point.point!r} saw a value of {limit}; finite ones are expected"
            )
    return limits


def _histograms(
    prepared: nn.Module, batches: Iterable[Tensor], limits: dict[FakeQuantize, float]
) -> dict[FakeQuantize, Tensor]:
    """Counts of magnitudes in equal bins from 0 to each point's limit."""
    counts: dict[FakeQuantize, Tensor] = {}

    def look(point: FakeQuantize, x: Tensor) -> None:
        now = torch.histc(x.float().abs(), BINS, min=0, max=max(limits[point], TINY)).double()
        counts[point] = counts[point] + now if point in counts else now

    _watch(prepared, batches, look)
    if not counts:  # a generator, used up by the first pass
        raise BadInput("no images in the second pass; give batches that can be read twice, a list")
    return counts


def _watch(
    model: nn.Module, batches: Iterable[Tensor], look: Callable[[FakeQuantize, Tensor], None]
) -> None:
    def hook(point: nn.Module, inputs: Any) -> None:
        assert isinstance(point, FakeQuantize)
        look(point, inputs[0])

    points = [module for module in model.modules() if isinstance(module, FakeQuantize)]
    handles = [point.register_forward_pre_hook(hook) for point in points]
    try:
        for images in batches:
            model(images)
    finally:
        for handle in handles:
            handle.remove()


def _percentile(histogram: Tensor, percentile: float) -> float:
    """The share of the histogram's range below which `percentile` % of the counts lie."""
    below = histogram.cumsum(0)
    first = int((below < below[-1] * (percentile / 100)).sum())
    return min(first + 1, BINS) / BINS


def _least_error(histogram: Tensor, levels: int) -> float:
    """The share of the histogram's range with the least squared error of rounding and clipping."""
    first, last, count = SHARES
    shares = torch.linspace(first, last, count, dtype=torch.float64, device=histogram.device)
    centres = (torch.arange(BINS, dtype=torch.float64, device=histogram.device) + 0.5) / BINS
    steps = shares[:, None] / levels
    rounded = (centres / steps).round().clamp(max=levels) * steps
    errors = ((rounded - centres) ** 2 * histogram).sum(dim=1)
    return float(shares[errors.argmin()])
