"""Small files with one fault each that TensorRT refuses, and some that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgestill.export.tensorrt_lint import VERSIONS

ALL = VERSIONS
IMAGES = [1, 4, 8, 8]


def model(
    nodes: Sequence[NodeProto],
    *,
    x: int = TensorProto.FLOAT,
    y: int = TensorProto.FLOAT,
    shape: Sequence[int | str] = IMAGES,
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
    outputs: Sequence[str] = ("y",),
) -> ModelProto:
    """x -> `nodes` -> y, their shapes left to inference."""
    graph = helper.make_graph(
        list(nodes),
        "one",
        [helper.make_tensor_value_info("x", x, shape)],
        [helper.make_tensor_value_info(name, y, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in (constants or {}).items()],
    )
    domains = {node.domain for node in nodes} - {""}
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def node(op: str, *inputs: str, gives: Sequence[str] = ("y",), **told: Any) -> NodeProto:
    return helper.make_node(op, list(inputs), list(gives), f"the_{op}", **told)


KERNEL = np.full((2, 4, 3, 3), 0.5, np.float32)
CODES = np.full((2, 4, 3, 3), 3, np.int8)
F32 = np.float32
STEP, ZERO = F32(0.1), np.int8(0)


def resize(**told: Any) -> ModelProto:
    return model(
        [node("Resize", "x", "", "scales", **told)],
        constants={"scales": np.array([1, 1, 2, 2], np.float32)},
        opset=18,
    )


def codes_of(
    step: Any = STEP,
    zero: Any = ZERO,
    *,
    kernel: Any = CODES,
    opset: int = 17,
    **told: Any,
) -> ModelProto:
    """A convolution between Q/DQ whose weight is `kernel` with the steps and zero points given."""
    return model(
        [
            node("QuantizeLinear", "x", "s", "z", gives=["codes"]),
            node("DequantizeLinear", "codes", "s", "z", gives=["seen"]),
            helper.make_node(
                "DequantizeLinear", ["k", "ks", "kz"], ["weight"], "of_weight", **told
            ),
            node("Conv", "seen", "weight"),
        ],
        constants={"s": F32(0.1), "z": np.int8(0), "k": kernel, "ks": step, "kz": zero},
        opset=opset,
    )


FAULTS: dict[str, tuple[ModelProto, Sequence[str], str]] = {
    "an operator that no parser has": (
        model([node("Det", "x")], shape=[1, 8, 8]),
        ALL,
        "the parser has no operator Det",
    ),
    "an operator that came with 10": (
        model([node("Mish", "x")], opset=18),
        ("8.6",),
        "the parser has no operator Mish",
    ),
    "an operator that came with 11": (
        model([node("Swish", "x")], opset=24),
        ("8.6", "10.3", "10.16"),
        "the parser has no operator Swish",
    ),
    "an operator of another domain": (
        model([helper.make_node("Secret", ["x"], ["y"], "hidden", domain="else.where")]),
        ALL,
        "else.where::Secret",
    ),
    "pooling with dilations": (
        model([node("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 2])]),
        ALL,
        "dilations of 1",
    ),
    "pooling that gives indices": (
        model([node("MaxPool", "x", gives=["y", "where"], kernel_shape=[2, 2])]),
        ALL,
        "it gives indices",
    ),
    "a scatter that adds up": (
        model(
            [node("ScatterND", "x", "places", "x", reduction="add")],
            constants={"places": np.array([[0]])},
            opset=16,
        ),
        ALL,
        "reduction is 'add'",
    ),
    # torch's exporter writes it, and the parser of 10.1 stopped at the attribute itself.
    "a scatter that says it does not add up": (
        model(
            [node("ScatterND", "x", "places", "x", reduction="none")],
            constants={"places": np.array([[0]])},
            opset=16,
        ),
        ("10.3",),
        "leave it away",
    ),
    "a resize to a crop": (
        resize(mode="linear", coordinate_transformation_mode="tf_crop_and_resize"),
        ALL,
        "coordinate_transformation_mode",
    ),
    "a resize with antialiasing": (resize(mode="linear", antialias=1), ALL, "antialias"),
    "axes that the input decides": (
        model(
            [
                node("Cast", "x", gives=["axes"], to=7),
                node("ReduceMean", "x", "axes"),
            ],
            shape=[2],
            opset=18,
        ),
        ALL,
        "depends on the network's input",
    ),
    "more of the largest than it sorts": (
        model(
            [node("TopK", "x", "k", gives=["y", "where"])],
            shape=[1, 5000],
            constants={"k": np.array([4000])},
        ),
        ALL,
        "K is 4000",
    ),
    "BatchNorm in training mode": (
        model(
            [node("BatchNormalization", "x", *"abcd", gives=["y", "m", "v"], training_mode=1)],
            constants={name: np.ones(4, np.float32) for name in "abcd"},
        ),
        ALL,
        "training mode",
    ),
    "an integer matrix product": (
        model(
            [node("MatMul", "x", "matrix")],
            x=TensorProto.INT32,
            y=TensorProto.INT32,
            constants={"matrix": np.ones((8, 8), np.int32)},
        ),
        ALL,
        "int32; the table lists",
    ),
    "a type of Brain floats": (
        model([node("Relu", "x")], x=TensorProto.BFLOAT16, y=TensorProto.BFLOAT16),
        ("8.6",),
        "bfloat16",
    ),
    "a type that no release has": (
        model([node("Cast", "x", gives=["y"], to=int(TensorProto.FLOAT))], x=TensorProto.UINT16),
        ALL,
        "'x' is uint16",
    ),
    "doubles at the door": (
        model([node("Relu", "x")], x=TensorProto.DOUBLE, y=TensorProto.DOUBLE),
        ALL,
        "the engine's is float32",
    ),
    "bytes that are moved before they are cast": (
        model(
            [
                node("Transpose", "x", gives=["moved"], perm=[0, 3, 1, 2]),
                node("Cast", "moved", to=int(TensorProto.FLOAT)),
            ],
            x=TensorProto.UINT8,
        ),
        ALL,
        "is uint8",
    ),
    "bytes that become integers": (
        model([node("Cast", "x", to=6)], x=TensorProto.UINT8, y=TensorProto.INT32),
        ALL,
        "is uint8",
    ),
    "uint8 codes": (
        codes_of(zero=np.uint8(0), kernel=CODES.astype(np.uint8)),
        ALL,
        "its codes are uint8",
    ),
    "a zero point": (codes_of(zero=np.int8(3)), ALL, "a zero point other than 0"),
    "a step of 0": (codes_of(step=F32(0)), ALL, "steps are positive numbers"),
    "a step that is no number": (codes_of(step=F32(np.nan)), ALL, "steps are positive numbers"),
    "too few steps": (
        codes_of(step=np.full(3, 0.1, F32), zero=np.zeros(3, np.int8), axis=0),
        ALL,
        "3 steps for 2 channels on axis 0",
    ),
    "steps without their zero points": (
        codes_of(step=np.full(2, 0.1, F32), axis=0),
        ALL,
        "2 steps and 1 zero points",
    ),
    "float16 steps": (codes_of(step=np.float16(0.1), opset=19), ("8.6",), "reads them as float32"),
    "an int32 bias": (
        model(
            [
                node("DequantizeLinear", "b", "s", "z", gives=["bias"]),
                node("Conv", "x", "kernel", "bias"),
            ],
            constants={
                "b": np.zeros(2, np.int32),
                "s": F32(0.1),
                "z": np.int32(0),
                "kernel": KERNEL,
            },
        ),
        ALL,
        "a bias stays float",
    ),
    "a step per channel of an activation": (
        model(
            [
                node("QuantizeLinear", "x", "s", "z", gives=["codes"]),
                node("DequantizeLinear", "codes", "s", "z"),
            ],
            constants={"s": np.full(4, 0.1, F32), "z": np.zeros(4, np.int8)},
        ),
        ALL,
        "activations have one step",
    ),
    "codes of no said type": (
        model(
            [
                node("QuantizeLinear", "x", "s", gives=["codes"]),
                node("DequantizeLinear", "codes", "s"),
            ],
            constants={"s": F32(0.1)},
        ),
        ALL,
        "zero point",
    ),
    "a letter twice in a term": (
        model([node("Einsum", "x", equation="bcii->bci")]),
        ("8.6",),
        "a letter twice in a term",
    ),
    "nine axes": (
        model([node("Relu", "x")], shape=[1] * 9),
        ALL,
        "9 axes; a tensor has at most 8",
    ),
}


GOOD: dict[str, ModelProto] = {
    "a convolution in INT8": codes_of(),
    "steps per output channel": codes_of(
        step=np.full(2, 0.1, F32), zero=np.zeros(2, np.int8), axis=0
    ),
    "bytes that are cast at once": model(
        [node("Cast", "x", gives=["seen"], to=int(TensorProto.FLOAT)), node("Relu", "seen")],
        x=TensorProto.UINT8,
    ),
    "bytes at the end": model(
        [node("Relu", "x", gives=["seen"]), node("Cast", "seen", to=int(TensorProto.UINT8))],
        y=TensorProto.UINT8,
    ),
    "sizes that are computed as integers": model(
        [
            node("Shape", "x", gives=["sizes"]),
            node("Gather", "sizes", "first", gives=["batch"]),
            node("Concat", "batch", "rest", gives=["shape"], axis=0),
            node("Reshape", "x", "shape"),
        ],
        shape=["N", 4, 8, 8],
        constants={"first": np.array([0]), "rest": np.array([-1])},
    ),
    "a resize": resize(mode="linear", coordinate_transformation_mode="half_pixel"),
    "pooling that rounds up": model(
        [node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)]
    ),
}
