"""Tidy names are unique and independent of what the exporter called things."""

from __future__ import annotations

from onnx import ModelProto, parser

from edgestill.export.tidy import module_path, tidy

# A layer called "1" twice, a point called "1_1", and a constant that nothing reads.
MODEL = """
<ir_version: 10, opset_import: ["" : 18, "edgestill" : 1]>
network (float[N,3,8,8] images, float[3,3,1,1] %weight) => (float[N,3,8,8] logits)
    <float[1] %unused = {1.0}, float[1] %val_3 = {2.0}>
{
    %a = Conv (images, %weight)
    %b = edgestill.Quantize <point = "1_1"> (%a)
    %c = Conv (%b, %weight)
    logits = Mul (%c, %val_3)
}
"""


def model(prefix: str) -> ModelProto:
    """The model above with other names; the weight gets a dot, which the parser does not take."""
    parsed: ModelProto = parser.parse_model(MODEL.replace("%", prefix))
    for node in parsed.graph.node:
        for position, name in enumerate(node.input):
            if name == f"{prefix}weight":
                node.input[position] = "1.weight"
    return parsed


def test_names_of_nodes_are_unique() -> None:
    tidied = model("x")

    tidy(tidied)

    assert [node.name for node in tidied.graph.node] == ["1", "1_1", "1_2", "Mul_0"]
    assert tidied.graph.node[3].input[1] == "const.0"


def test_the_exporters_names_do_not_show() -> None:
    one, other = model("x"), model("other_")

    for each in (one, other):
        tidy(each)

    assert one.graph.node == other.graph.node
    assert one.graph.initializer == other.graph.initializer


def test_what_nothing_reads_is_dropped() -> None:
    tidied = model("x")

    tidy(tidied)

    assert [tensor.name for tensor in tidied.graph.initializer] == ["const.0"]


def test_a_layers_path_is_that_of_its_weight() -> None:
    nodes = model("x").graph.node

    assert [module_path(node) for node in nodes] == ["1", "", "1", ""]
