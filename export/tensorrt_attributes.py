"""What TensorRT asks of an operator's attributes and constant inputs, as far as a file decides it.

Each rule is named in tensorrt_operators.json. It takes the network, the node and the release, and
gives what is wrong: "" if nothing is. What begins with `MILD` is parsed, with another result.

Read in the parser's sources and operator tables of 8.6 (onnx/onnx-tensorrt at 6ba67d3), 10.1
(96e7811), 10.6 (0137504), 10.16 (6bde659) and 11.1 (7c51a63).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .tensorrt_view import attributes

if TYPE_CHECKING:
    from onnx import NodeProto

    from .tensorrt_view import View

    Rule = Callable[[View, NodeProto, tuple[int, ...]], str]

MILD = "?"
MOST_K = 3840
TRANSFORMATIONS = (
    "half_pixel",
    "pytorch_half_pixel",
    "tf_half_pixel_for_nn",
    "asymmetric",
    "align_corners",
)
# Inputs that have to be known when the engine is built, by position.
FIXED_INPUTS = {"CumSum": (1,), "Squeeze": (1,), "Unsqueeze": (1,), "Slice": (3,), "OneHot": (1,)}
LATER_INPUTS = ("past_key", "past_value", "nonpad_kv_seqlen")


def fixed_inputs(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    """Axes and the like must be constants."""
    places = FIXED_INPUTS.get(node.op_type, (1,))
    return _not_fixed(view, node, places)


def pooling(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    told = attributes(node)
    if any(step != 1 for step in told.get("dilations") or ()):
        return f"its dilations are {told['dilations']}; pooling has dilations of 1 there"
    if not 1 <= len(told.get("kernel_shape") or (0,)) <= 3:
        return f"it pools over {len(told['kernel_shape'])} axes; 1 to 3 are possible there"
    if node.op_type == "MaxPool" and len(node.output) > 1:
        return "it gives indices; MaxPool has one output there"
    return norm_order(view, node, version) if node.op_type == "LpPool" else ""


def norm_order(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    order = attributes(node).get("p", 2)
    return "" if order in (1, 2) else f"p is {order}; 1 and 2 are possible there"


def convolution(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    rank = view.rank(node.input[1])
    if rank is not None and not 3 <= rank <= 5:
        return f"its weight has {rank} axes; convolutions are over 1 to 3 axes there"
    return ""


def gemm(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    ranks = [view.rank(name) for name in node.input[:2]]
    if any(rank not in (2, None) for rank in ranks):
        return f"its inputs have {ranks[0]} and {ranks[1]} axes; Gemm multiplies matrices"
    return ""


def batch_norm(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    if attributes(node).get("training_mode"):
        return "it is in training mode"
    return one_output(view, node, version)


def one_output(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    given = sum(bool(name) for name in node.output)
    return "" if given <= 1 else f"it has {given} outputs; only the first can be given there"


def constant(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    told = {"sparse_value", "value_string", "value_strings"} & set(attributes(node))
    return f"it holds a {told.pop()}" if told else ""


def dropout(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    if len(node.input) < 3 or not node.input[2]:
        return ""
    if problem := _not_fixed(view, node, (2,)):
        return problem
    flag = view.values(node.input[2])
    return "it is in training mode" if flag is not None and flag.any() else ""


def deform_conv(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    pads = attributes(node).get("pads") or []
    half = len(pads) // 2
    if pads[:half] != pads[half:]:
        return f"its pads are {pads}; both ends of an axis have the same padding there"
    rank = view.rank(node.input[0])
    return "" if rank in (None, 3, 4) else f"its input has {rank} axes; 3 and 4 are possible there"


def static_shape(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    shape = view.shapes.get(node.input[0])
    free = shape is not None and None in shape
    return "its input has a free axis; the shape is fixed there" if free else ""


def static_axis(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    shape, axis = view.shapes.get(node.input[0]), attributes(node).get("axis", -1)
    free = shape is not None and -len(shape) <= axis < len(shape) and shape[axis] is None
    return f"axis {axis} of its input is free; its size is fixed there" if free else ""


def gelu(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    form = attributes(node).get("approximate", "none")
    return "" if form in ("none", "tanh") else f"approximate is {form!r}; none and tanh are known"


def recurrent(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    told = attributes(node)
    if node.op_type == "LSTM":
        for name in ("input_forget", "layout"):
            if told.get(name):
                return f"{name} is {told[name]}; it is 0 there"
    for name in ("activations", "activation_alpha", "activation_beta"):
        each = told.get(name) or []
        half = len(each) // 2
        if told.get("direction") == "bidirectional" and each[:half] != each[half:]:
            return f"its directions have different {name}; they have the same there"
    return ""


def branches(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    names = [[value.name for value in item.g.output] for item in node.attribute if item.g.node]
    if len(names) == 2 and len(names[0]) != len(names[1]):
        return f"its branches give {len(names[0])} and {len(names[1])} outputs"
    if len(names) == 2 and (shared := sorted({*names[0]} & {*names[1]})):
        return f"both its branches give {shared[0]!r}; their outputs have different names there"
    return ""


def nms(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    ranks = [view.rank(name) for name in node.input[:2]]
    return "" if all(rank in (3, None) for rank in ranks) else "its boxes or scores lack an axis"


def random(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    told = attributes(node)
    if told.get("dtype", 1) not in (1, 10):
        return "it makes neither float32 nor float16"
    return f"{MILD}its seed is ignored" if "seed" in told else ""


def resize(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    told = attributes(node)
    mode, nearest = told.get("mode", "nearest"), told.get("nearest_mode", "round_prefer_floor")
    way = told.get("coordinate_transformation_mode", "half_pixel")
    if mode not in ("nearest", "linear", "cubic"):
        return f"mode is {mode!r}; nearest and linear are known"
    if way not in TRANSFORMATIONS:
        return f"coordinate_transformation_mode is {way!r}; known: {', '.join(TRANSFORMATIONS)}"
    if way == "tf_half_pixel_for_nn" and nearest != "round_prefer_floor":
        return f"nearest_mode is {nearest!r}; with {way} it is round_prefer_floor there"
    if told.get("antialias"):
        return "antialias is set; there is no antialiasing there"
    if told.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        return f"keep_aspect_ratio_policy is {told['keep_aspect_ratio_policy']!r}; stretch is known"
    if told.get("axes") and version < (10,):
        return "axes are set; that parser does not read them"
    scales = view.values(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if scales is not None and mode != "nearest":
        most, changed = 3 if mode == "linear" else 2, [scale != 1 for scale in scales.ravel()]
        if any(changed[:-most]):
            return f"it scales more than the last {most} axes, the most for {mode} there"
    return f"{MILD}mode is cubic, which the operator table does not list" if mode == "cubic" else ""


def reverse_sequence(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    told = attributes(node)
    same = told.get("batch_axis", 1) == told.get("time_axis", 0)
    return "batch_axis and time_axis are the same" if same else ""


def roi_align(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    mode = attributes(node).get("mode", "avg")
    return "" if mode in ("avg", "max") else f"mode is {mode!r}; avg and max are known"


def scatter(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    """ScatterND and, up to 8.6, ScatterElements."""
    told = attributes(node)
    how = told.get("reduction", "none")
    if how != "none":
        return f"reduction is {how!r}; it adds up nothing there"
    # 10.1 stops at the attribute itself, whatever it says; the changelog of 10.9 mends it.
    if "reduction" in told and node.op_type == "ScatterND" and (10,) <= version < (10, 9):
        return "it has the attribute reduction (none); that parser stops at it: leave it away"
    return ""


def top_k(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    if not attributes(node).get("sorted", 1):
        return "sorted is 0; it is 1 there"
    count = view.values(node.input[1]) if len(node.input) > 1 else None
    if count is not None and count.size and count.max() >= MOST_K:
        return f"K is {count.max()}; it is below {MOST_K} there"
    return ""


def upsample(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    mode = attributes(node).get("mode", "nearest")
    known = ("nearest", "linear", "bilinear")
    return "" if mode in known else f"mode is {mode!r}; known: {', '.join(known)}"


def einsum(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    equation = attributes(node).get("equation") or ""
    if strange := sorted({c for c in equation if not (c.islower() and c.isascii())} - set("->., ")):
        return f"its equation has {' '.join(strange)}; letters are lower-case there"
    terms = [term.strip() for term in equation.partition("->")[0].split(",")]
    if "." in equation or any(len(set(term)) < len(term) for term in terms):
        # The table of 8.6 forbids it, the changelog of 10.12 allows it, those between are silent.
        hard = version < (9,)
        note = "an ellipsis or a letter twice in a term"
        return f"{'' if hard else MILD}its equation has {note}" if version < (10, 12) else ""
    return ""


def grid_sample(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    rank, known = view.rank(node.input[0]), (4, 5) if version >= (11, 2) else (4,)
    return "" if rank in (None, *known) else f"its input has {rank} axes; known: {known}"


def group_norm(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    if view.opset >= 21 and version < (10, 9):
        return "it has the form of opset 21; the parser reads that of opset 18"
    return ""


def pad(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    if len(node.input) < 4 or not node.input[3]:
        return ""
    if version < (10,):
        return "it has axes; that parser does not read them"
    return _not_fixed(view, node, (3,))


def stft(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    return _not_fixed(view, node, (1, 2))


def attention(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    told = attributes(node)
    if any(node.input[4:]):
        return "it takes a past (past_key, past_value or nonpad_kv_seqlen)"
    if told.get("softcap") or told.get("qk_matmul_output_mode"):
        return "softcap or qk_matmul_output_mode is set"
    ranks = [view.rank(name) for name in node.input[:3]]
    if any(rank not in (4, None) for rank in ranks):
        return f"its inputs have {ranks} axes; Q, K and V have four there"
    return one_output(view, node, version)


def tensor_scatter(view: View, node: NodeProto, version: tuple[int, ...]) -> str:
    axis = attributes(node).get("axis", -2)
    return "" if axis == -2 else f"axis is {axis}; it is -2 there"


def _not_fixed(view: View, node: NodeProto, places: tuple[int, ...]) -> str:
    """An input that is no constant; what merely has to be folded first is mild."""
    for place in places:
        name = node.input[place] if place < len(node.input) else ""
        if not name or name in view.constants:
            continue
        if name in view.foldable:
            return f"{MILD}its input {name!r} is computed from constants; it is better folded"
        return f"its input {name!r} depends on the network's input; it is a constant there"
    return ""


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        *(fixed_inputs, pooling, norm_order, convolution, gemm, batch_norm, one_output, constant),
        *(dropout, deform_conv, static_shape, static_axis, gelu, recurrent, branches, nms, random),
        *(resize, reverse_sequence, roi_align, scatter, top_k, upsample, einsum, grid_sample),
        *(group_norm, pad, stft, attention, tensor_scatter),
    )
}
