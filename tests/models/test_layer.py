"""The layers that a spec tells are those of the network that it builds."""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from edgestill.models.branches import merge_branches
from edgestill.models.families import Spec
from edgestill.models.layer import Layer
from edgestill.models.student import build

from .any_specs import SPECS

Told: TypeAlias = tuple[str, int, int, int, int, int, int]


@pytest.mark.parametrize("family", SPECS)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_the_layers_are_those_of_the_built_network(family: str, data: st.DataObject) -> None:
    spec = data.draw(SPECS[family])

    layers = type(spec).layers(spec)

    told = Counter[Told]()
    for layer in layers:
        told[_told(layer)] += layer.count
    built, sums = _built(spec)
    assert told == built
    assert sum(layer.adds * layer.count for layer in layers) == sums


def test_a_layer_counts_its_weights_its_work_and_what_it_reads_and_writes() -> None:
    conv = Layer(kind="conv", channels_in=4, channels_out=6, size=9, kernel=3, stride=2)
    depthwise = Layer(kind="depthwise", channels_in=6, channels_out=6, size=5, kernel=3)
    pool = Layer(kind="global_pool", channels_in=6, channels_out=6, size=5, kernel=0)
    linear = Layer(kind="linear", channels_in=6, channels_out=3, size=1, kernel=0)

    assert [each.size_out for each in (conv, depthwise, pool, linear)] == [5, 5, 1, 1]
    assert [each.weights for each in (conv, depthwise, pool, linear)] == [216, 54, 0, 18]
    assert [each.macs for each in (conv, depthwise, pool, linear)] == [5400, 1350, 150, 18]
    assert [each.elements_in for each in (conv, depthwise, pool, linear)] == [324, 150, 150, 6]
    assert [each.elements_out for each in (conv, depthwise, pool, linear)] == [150, 150, 6, 3]


def test_a_part_is_counted_as_often_as_the_layer_stands_there() -> None:
    bias = Layer(kind="conv", channels_in=2, channels_out=4, size=3, count=3).part()
    norm = Layer(kind="conv", channels_in=2, channels_out=4, size=3, count=3, norm=True).part()
    none = Layer(kind="conv", channels_in=2, channels_out=4, size=3, count=0, norm=True)

    assert (bias.macs, bias.params, bias.weights, bias.channels) == (216, 36, 24, 12)
    assert (norm.macs, norm.params, norm.weights, norm.channels) == (432, 48, 24, 12)
    assert (none.part().macs, none.part().params, none.live) == (0, 0, 0)


def _told(layer: Layer) -> Told:
    # A depthwise convolution of one channel is a plain one.
    kind = "conv" if layer.kind == "depthwise" and layer.channels_in == 1 else layer.kind
    return (
        kind, layer.channels_in, layer.channels_out, layer.size, layer.size_out,
        layer.kernel, layer.stride,
    )  # fmt: skip


def _built(spec: Spec) -> tuple[Counter[Told], int]:
    """The layers that one forward calls as the network runs, and how many sums it takes."""
    network = merge_branches(build(spec, seed=0)).eval()
    found = Counter[Told]()

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        reads, writes = inputs[0].shape, output.shape
        height, after = (reads[2], writes[2]) if len(reads) == 4 else (1, 1)
        kind, kernel, stride = "linear", 0, 1
        if isinstance(module, nn.Conv2d):
            kind = "conv" if module.groups == 1 else "depthwise"
            kernel, stride = module.kernel_size[0], module.stride[0]
        elif isinstance(module, nn.MaxPool2d):
            kind, kernel, stride = "max_pool", 3, 2
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            kind = "global_pool"
        found[(kind, reads[1], writes[1], height, after, kernel, stride)] += 1

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.MaxPool2d | nn.AdaptiveAvgPool2d):
            module.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, spec.in_channels, spec.image_size, spec.image_size))
    graph = fx.symbolic_trace(network).graph
    sums = sum("add" in str(node.target) for node in graph.nodes if node.op == "call_function")
    return found, sums
