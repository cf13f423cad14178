"""Markers travel past operations that only move numbers, as each runtime wants it."""

from __future__ import annotations

import pytest
from onnx import GraphProto, NodeProto, parser

from edgestill.export.markers import carry_markers, markers, point_of, remove_markers

# A marker whose value is pooled, then read by a convolution.
POOLED = """
<ir_version: 8, opset_import: ["" : 18, "edgestill" : 1]>
network (float[N,3,8,8] images, float[4,3,1,1] weight) => (float[N,4,4,4] logits) {
    a = Relu (images)
    b = edgestill.Quantize <point = "relu"> (a)
    c = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b)
    d = Identity (c)
    logits = Conv (d, weight)
}
"""
# The same, and the unpooled value is added to itself.
BRANCHED = POOLED.replace("logits) {", "logits, float[N,3,8,8] sum) {").replace(
    "    logits =", "    sum = Add (b, b)\n    logits ="
)


def graph(text: str) -> GraphProto:
    found: GraphProto = parser.parse_model(text).graph
    return found


def kinds(nodes: GraphProto) -> list[str]:
    def kind(node: NodeProto) -> str:
        return "marker" if node.domain else node.op_type

    return [kind(node) for node in nodes.node]


def test_onnx_runtime_gets_a_marker_on_both_sides_of_each() -> None:
    pooled = graph(POOLED)

    carry_markers(pooled, repeat=True)

    assert kinds(pooled) == [
        *("Relu", "marker", "MaxPool", "marker", "Identity", "marker", "Conv"),
    ]
    assert {point_of(node) for node in markers(pooled)} == {"relu"}


def test_tensorrt_gets_one_marker_right_before_the_convolution() -> None:
    pooled = graph(POOLED)

    carry_markers(pooled, repeat=False)

    assert kinds(pooled) == ["Relu", "MaxPool", "Identity", "marker", "Conv"]
    assert pooled.node[-1].input[0] == markers(pooled)[0].output[0]


def test_a_marker_that_is_read_elsewhere_too_stays() -> None:
    branched = graph(BRANCHED)

    carry_markers(branched, repeat=False)

    assert kinds(branched) == ["Relu", "marker", "MaxPool", "Identity", "marker", "Add", "Conv"]


# A marker whose value is split; both parts are enlarged, one by repeating and one by averaging.
SPLIT = """
<ir_version: 8, opset_import: ["" : 18, "edgestill" : 1]>
network (float[N,4,8,8] images, float[4] scales) => (float[N,2,16,16] left, float[N,2,16,16] right)
{
    a = edgestill.Quantize <point = "images"> (images)
    b, c = Split <axis = 1, num_outputs = 2> (a)
    d = Resize <mode = "nearest"> (b, , scales)
    e = Resize <mode = "linear"> (c, , scales)
    left = Relu (d)
    right = Relu (e)
}
"""


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        (True, "marker Split marker marker Resize marker Resize Relu Relu"),
        (False, "Split marker Resize marker Resize Relu Relu"),
    ],
)
def test_each_part_of_a_split_value_gets_its_marker(repeat: bool, expected: str) -> None:
    split = graph(SPLIT)

    carry_markers(split, repeat=repeat)

    assert kinds(split) == expected.split()
    assert len({node.output[0] for node in markers(split)}) == len(markers(split))


@pytest.mark.parametrize("repeat", [True, False])
def test_no_marker_is_put_behind_the_networks_output(repeat: bool) -> None:
    ending = graph(POOLED.replace("    logits = Conv (d, weight)\n", "").replace("d =", "logits ="))

    carry_markers(ending, repeat=repeat)

    assert ending.node[-1].op_type == "Identity"


def test_markers_in_a_row_are_all_removed() -> None:
    row = graph(POOLED.replace("d = Identity (c)", 'd = edgestill.Quantize <point = "pool"> (c)'))
    row.node[2].CopyFrom(row.node[3])  # images -> Relu -> marker -> marker -> Conv
    row.node[2].input[0], row.node[2].output[0] = "b", "c"

    remove_markers(row, {node.output[0] for node in markers(row)})

    assert kinds(row) == ["Relu", "Conv"]
    assert row.node[1].input[0] == row.node[0].output[0]
