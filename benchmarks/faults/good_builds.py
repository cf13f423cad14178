"""Right builds of the same networks by other ways: whatever fails one of them is a false alarm."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from . import edits, networks
from .bases import Base, Bases, dialect, held_out, marked
from .exporters import dynamo, optimised, quantized_statically, torchscript

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class GoodBuild:
    """Another build of a base's network, which its contract must pass."""

    name: str
    on: str
    make: Callable[[], ModelProto | None]
    """None: the known-good file itself."""


def good_builds(bases: Bases, name: str) -> Iterator[GoodBuild]:
    """The other builds of base `name`, and the same file again."""
    base = bases[name]
    made: dict[str, Callable[[], ModelProto | None]] = {"the same file": lambda: None}
    if base.target is None and base.network is not None:
        made |= _exports(base)
    if name == "digits fp16":
        made["float16 of dynamo's graph"] = lambda: _half(base)
    elif base.target is not None:
        made |= _int8(base)
    if name not in ("digits external", "digits fp16"):
        made["renamed and reordered"] = lambda: reordered(base.proto())
    for how, make in made.items():
        yield GoodBuild(name=how, on=name, make=make)


def _exports(base: Base) -> dict[str, Callable[[], ModelProto | None]]:
    """The float network by both of torch's exporters, and optimised."""
    inputs = _few(base)
    outputs = tuple(value.name for value in base.proto().graph.output)
    by_dynamo = partial(dynamo, inputs=inputs, outputs=outputs)
    by_trace = partial(torchscript, inputs=inputs, outputs=outputs)
    made: dict[str, Callable[[], ModelProto | None]] = {
        "dynamo, opset 20, another batch name": lambda: by_dynamo(
            base.network_copy(), opset=20, batch="batch"
        ),
        "TorchScript, opset 17": lambda: by_trace(base.network_copy()),
        "TorchScript, opset 13, BatchNorm kept": lambda: by_trace(
            base.network_copy(), opset=13 if base.name != "tokens" else 17, fold=False
        ),
        "optimised by ONNX Runtime": lambda: optimised(base.proto()),
    }
    if base.name == "digits external":
        # One file instead of two is another interface; the others are built as that.
        return {}
    return made


def _int8(base: Base) -> Mapping[str, Callable[[], ModelProto | None]]:
    """The INT8 network calibrated on other data."""
    if base.prepared is not None and base.name.startswith("digits"):
        return {
            f"calibrated on other images, {seed}": partial(
                _calibrated, base, held_out(200 * seed, rows=200, train=True)
            )
            for seed in (1, 2)
        }
    if base.prepared is not None:
        return {
            f"calibrated on other images, {seed}": partial(_calibrated, base, _noise(base, seed))
            for seed in (11, 12)
        }
    if base.whole is not None:
        return {
            f"calibrated on other images, {seed}": partial(_static, base, seed) for seed in (11, 12)
        } | {"the float model optimised before": partial(_static, base, 6, optimised)}
    return {}


def _half(base: Base) -> ModelProto:
    from edgestill.export.half import half_precision

    return half_precision(dynamo(base.network_copy(), _few(base), ("logits",)))


def _calibrated(base: Base, images: Tensor) -> ModelProto:
    assert base.target is not None
    return dialect(*marked(base.network_copy(), images), base.target)


def _static(
    base: Base, seed: int, first: Callable[[ModelProto], ModelProto] = copy.deepcopy
) -> ModelProto:
    assert base.whole is not None
    seen = {"images": _noise(base, seed).numpy()}
    return quantized_statically(first(base.whole), [seen])


def _noise(base: Base, seed: int) -> Tensor:
    size = base.samples["images"].shape[-1]
    return networks.noise((3, size, size), rows=32, seed=seed)


def _few(base: Base) -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(values[:2]) for name, values in base.samples.items()}


def reordered(model: ModelProto) -> ModelProto:
    """The same graph as another tool may save it.

    Weights in another order, under other names and as typed lists instead of raw bytes; nodes
    without names; constants as nodes; metadata and a comment more.
    """
    graph = model.graph
    chance = np.random.default_rng(0)
    tensors = list(graph.initializer)
    for number, tensor in enumerate(tensors):
        name, fresh = tensor.name, f"onnx::{number}"
        edits.reroute(graph, name, fresh)
        values = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(values, fresh))
        if values.dtype == np.float32 and values.size < 10000:
            tensor.ClearField("raw_data")
            tensor.float_data.extend(values.ravel().tolist())
    kept = [copy.deepcopy(tensors[place]) for place in chance.permutation(len(tensors))]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for node in graph.node:
        node.name = ""
    del graph.value_info[:]
    graph.doc_string = "saved by another tool"
    model.producer_name, model.producer_version = "another tool", "1"
    model.metadata_props.add(key="commit", value="0123abc")
    return model
