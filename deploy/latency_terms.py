"""What a layer's time is a sum of: a number of everything that may take time, by name.

A runtime's kernels work on channels in groups (8 or 16 floats of a vector register, 32 columns of a
tensor core), a GPU waits a while for each kernel, a large layer waits for its weights. Which of it
a device does is not known: each is offered as a term, and the fit gives a time to those that the
measured blocks show. All terms are counts and no time is below zero, so that a layer at a larger
size, or more of them, is never predicted to take less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TypeAlias

from .latency_layers import Shape, TimedLayer, Whole, layers_of

Term: TypeAlias = Callable[[TimedLayer], Whole]


def padded(channels: Whole, multiple: int) -> Whole:
    """The next multiple.

    >>> padded(24, 16)
    32
    """
    return -(-channels // multiple) * multiple


def _pixels(layer: TimedLayer) -> int:
    return layer.size_out**2


def _reads(layer: TimedLayer) -> Whole:
    return layer.in_channels * layer.size**2


def _writes(layer: TimedLayer) -> Whole:
    return layer.out_channels * _pixels(layer)


def _macs(into: int, out: int) -> Term:
    """Multiply-adds with the channels padded to these multiples."""
    return lambda layer: (
        padded(layer.in_channels, into)
        * padded(layer.out_channels, out)
        * (layer.kernel**2 * _pixels(layer))
    )


def _weights(layer: TimedLayer) -> Whole:
    return layer.kernel**2 * layer.in_channels * layer.out_channels


def _patches(layer: TimedLayer) -> Whole:
    return layer.in_channels * (layer.kernel**2 * _pixels(layer))


_EACH: dict[str, Term] = {"each": lambda layer: 1}
_CONVOLUTION: dict[str, Term] = {
    **_EACH,
    "reads": _reads,
    "writes": _writes,
    "macs": _macs(1, 1),
    "macs_padded_8": _macs(8, 8),
    "macs_padded_16": _macs(16, 16),
    "macs_padded_32": _macs(32, 32),
    "macs_out_padded_16": _macs(1, 16),
    "macs_out_padded_32": _macs(1, 32),
    "weights": _weights,
    "patches": _patches,
    "border_macs": lambda layer: _weights(layer) * (layer.size_out if layer.kernel > 1 else 0),
    "pixels": _pixels,
    "patches_to_under_16": lambda layer: _patches(layer) * (layer.out_channels < 16),
    "reads_over_16": lambda layer: layer.in_channels % 16 * layer.size**2,
    "writes_over_16": lambda layer: layer.out_channels % 16 * _pixels(layer),
    "strided_reads": lambda layer: layer.in_channels * (_pixels(layer) * (layer.stride > 1)),
    "strided_writes": lambda layer: _writes(layer) * (layer.stride > 1),
}
_WINDOW: dict[str, Term] = {
    **_EACH,
    "reads": _reads,
    "writes": _writes,
    "reads_padded_16": lambda layer: padded(layer.in_channels, 16) * layer.size**2,
    "writes_padded_16": lambda layer: padded(layer.out_channels, 16) * _pixels(layer),
    "writes_over_16": lambda layer: layer.out_channels % 16 * _pixels(layer),
    "writes_not_of_16": lambda layer: _writes(layer) * (layer.out_channels % 16 > 0),
    "pixels": _pixels,
    "border": lambda layer: padded(layer.out_channels, 16) * layer.size_out,
    "strided_writes": lambda layer: _writes(layer) * (layer.stride > 1),
}
_PASS: dict[str, Term] = {
    **_EACH,
    "writes": _writes,
    "writes_padded_16": lambda layer: padded(layer.out_channels, 16) * _pixels(layer),
}
TERMS: dict[str, dict[str, Term]] = {
    "image": _CONVOLUTION,
    "conv": _CONVOLUTION,
    "conv1x1": _CONVOLUTION,
    "depthwise": _WINDOW,
    "max_pool": _WINDOW,
    "global_pool": {**_EACH, "reads": _reads, "channels": lambda layer: layer.in_channels},
    "linear": {
        **_EACH,
        "reads": lambda layer: layer.in_channels,
        "writes": lambda layer: layer.out_channels,
        "weights": lambda layer: layer.in_channels * layer.out_channels,
    },
    "add": _PASS,
    "clip": _PASS,
}
"""Group of layers -> name of a term -> how much of it a layer has. `add`, `clip`: of the sum and of
the ReLU6 that a layer ends in."""

OVERHEAD = "overhead"
"""The term of what a runtime takes for an inference of nothing."""
IDENTITY = "identity.elements"
_EDGES: dict[str, Term] = {
    "in.each": lambda layer: 1,
    "in.reads": _reads,
    "in.reads_padded_16": lambda layer: padded(layer.in_channels, 16) * layer.size**2,
    "out.each": lambda layer: 1,
    "out.writes": _writes,
}
"""Of a block's file alone: what a runtime makes of what goes in and comes out."""
STAND_IN = {"max_pool": "depthwise"}
"""Group -> the one whose times it gets where none of its own were measured."""


def summed(times: Mapping[str, float], layers: Sequence[TimedLayer]) -> Whole:
    """What a network of these layers takes: the sum of its terms, each times its time."""
    known = {name.split(".")[0] for name in times}
    total: Whole = times.get(OVERHEAD, 0.0)
    for layer in layers:
        for group in layer.groups:
            timed = group if group in known else STAND_IN.get(group, group)
            one = sum(
                times[name] * term(layer) for name, term in _named(timed).items() if name in times
            )
            total = total + layer.count * one
    return total


def block_terms(block: Shape) -> dict[str, int]:
    """What an inference of the block's file is a sum of: how much of each term."""
    found = {OVERHEAD: 1}
    layers = layers_of(block)
    if not layers:
        return {**found, IDENTITY: block.in_channels * block.size**2}
    for layer in layers:
        for group in layer.groups:
            for name, term in _named(group).items():
                found[name] = found.get(name, 0) + layer.count * term(layer)
    # An image is read by the first layer itself, logits are few.
    if layers[0].group not in ("linear", "global_pool"):
        ends = {"in": replace(layers[0], count=1), "out": replace(layers[-1], count=1)}
        if layers[0].group == "image":
            del ends["in"]
        for name, term in _EDGES.items():
            if (end := ends.get(name.split(".")[0])) is not None:
                found[name] = term(end)
    return found


def known_terms() -> set[str]:
    """The names of all terms."""
    layers = {name for group in TERMS for name in _named(group)}
    return {OVERHEAD, IDENTITY, *layers, *_EDGES}


@cache
def _named(group: str) -> dict[str, Term]:
    return {f"{group}.{name}": term for name, term in TERMS[group].items()}
