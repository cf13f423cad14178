"""The lines of a check that read the file and run nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .check_report import Fail, Line, judged
from .check_subject import Subject
from .runtime import one_line

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, NodeProto, TensorProto

# Newest (opset, IR version) that the oldest supported runtime of each target reads:
# TensorRT 10.0 to 10.3 parse opset 20 and are built with ONNX 1.16 (IR 10);
# ONNX Runtime 1.21 is built with ONNX 1.17 (opset 22, IR 10).
CEILINGS = {"tensorrt": (20, 10), "ort-x86": (22, 10), "ort-arm64": (22, 10)}

# Standard operators marked "N" in the operator table of TensorRT's ONNX parser, release 10.1.
# fmt: off
NOT_IN_TENSORRT = frozenset((
    "AffineGrid", "Bernoulli", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor",
    "BlackmanWindow", "CenterCropPad", "Col2Im", "Compress", "ConcatFromSequence", "ConvInteger",
    "DFT", "Det", "DynamicQuantizeLinear", "HammingWindow", "HannWindow", "ImageDecoder",
    "MatMulInteger", "MaxRoiPool", "MaxUnpool", "MelWeightMatrix", "Multinomial",
    "NegativeLogLikelihoodLoss", "Optional", "OptionalGetElement", "OptionalHasElement",
    "QLinearConv", "QLinearMatMul", "RegexFullMatch", "STFT", "SequenceAt", "SequenceConstruct",
    "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap",
    "SoftmaxCrossEntropyLoss", "SplitToSequence", "StringConcat", "StringNormalizer",
    "StringSplit", "TfIdfVectorizer", "Unique",
))
# fmt: on


def readable(subject: Subject) -> Line:
    """The bytes are an ONNX protobuf with a graph in it."""
    nodes = len(subject.proto.graph.node)
    return judged("readable", True, found=f"{nodes} operators", expected="an ONNX file")


def checker(subject: Subject) -> Line:
    """ONNX's own checker accepts the file."""
    import onnx

    try:
        # By path: only so are models over 2 GiB and side files looked at.
        onnx.checker.check_model(str(subject.path))
    except (onnx.checker.ValidationError, RuntimeError) as error:
        raise Fail(one_line(error)) from error
    return judged("checker", True, found="accepted", expected="accepted by onnx.checker")


def shapes(subject: Subject) -> Line:
    """Strict shape inference agrees with every shape that the file declares."""
    import onnx

    try:
        onnx.shape_inference.infer_shapes(subject.proto, check_type=True, strict_mode=True)
    except (onnx.shape_inference.InferenceError, RuntimeError) as error:
        raise Fail(one_line(error)) from error
    return judged("shapes", True, found="agree", expected="declared shapes agree with inference")


def operators(subject: Subject) -> Line:
    """Every operator is one that the target knows."""
    import onnx

    ours = {function.domain for function in subject.proto.functions}
    domains = {"", "ai.onnx", *ours}
    if subject.target != "tensorrt":
        domains |= {"ai.onnx.ml", "com.microsoft"}
    strange: set[str] = set()
    for node in _nodes(subject.proto.graph, *subject.proto.functions):
        standard = node.domain in ("", "ai.onnx")
        if node.domain not in domains or (standard and not onnx.defs.has(node.op_type)):
            strange.add(f"{node.domain or 'ai.onnx'}::{node.op_type}")
        elif standard and subject.target == "tensorrt" and node.op_type in NOT_IN_TENSORRT:
            strange.add(node.op_type)
    return judged(
        "operators",
        not strange,
        found=f"unknown: {', '.join(sorted(strange))}" if strange else "all known",
        expected=f"operators that {subject.target or 'ONNX Runtime'} knows",
    )


def quantizers(subject: Subject) -> Line:
    """For TensorRT: Q/DQ in int8 with zero point 0; uint8 is rejected there, an int32 bias too."""
    from onnx import TensorProto, numpy_helper

    known = _constants(subject.proto.graph)
    wrong: list[str] = []
    count = 0
    for node in _nodes(subject.proto.graph, *subject.proto.functions):
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        count += 1
        zero = known.get(node.input[2]) if len(node.input) > 2 else None
        data = known.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        kinds = {tensor.data_type for tensor in (zero, data) if tensor is not None}
        if strange := kinds - {TensorProto.INT8}:
            names = "/".join(TensorProto.DataType.Name(kind).lower() for kind in sorted(strange))
            wrong.append(f"{node.name or node.output[0]} is {names}")
        elif zero is not None and numpy_helper.to_array(zero).any():
            wrong.append(f"{node.name or node.output[0]} has a zero point other than 0")
    found = f"{count - len(wrong)} of {count} Q/DQ nodes"
    return judged(
        "quantizers",
        not wrong,
        found=found,
        expected="int8 with zero point 0 in all",
        why="; ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""),
        figures={"wrong": len(wrong), "total": count},
    )


def opset_max(subject: Subject) -> Line:
    """The opset of standard operators is one that the target reads."""
    import onnx

    versions = [o.version for o in subject.proto.opset_import if o.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    asked = subject.contract.opset_max
    return _below_ceiling(subject, "opset_max", "opset", max(versions, default=0), asked, newest)


def ir_max(subject: Subject) -> Line:
    """The IR version is one that the target reads."""
    import onnx

    version, asked = subject.proto.ir_version, subject.contract.ir_max
    return _below_ceiling(subject, "ir_max", "IR version", version, asked, int(onnx.IR_VERSION))


def single_file(subject: Subject) -> Line:
    """No weight lies in a file beside the model."""
    names = sorted({_location(tensor) for tensor in _outside(subject)})
    return judged(
        "single_file",
        not names,
        found=f"weights in {', '.join(names)}" if names else "one file",
        expected="all weights inside the file",
    )


def max_bytes(subject: Subject) -> Line:
    """The file and its side files are small enough."""
    limit = subject.contract.max_bytes or 0
    beside = {subject.path.parent / _location(tensor) for tensor in _outside(subject)}
    missing = sorted(path.name for path in beside if not path.is_file())
    if missing:
        raise Fail(f"side files are missing: {', '.join(missing)}")
    size = sum(path.stat().st_size for path in (subject.path, *beside))
    return judged(
        "max_bytes",
        size <= limit,
        found=f"{size:,} bytes",
        expected=f"<= {limit:,} bytes",
        figures={"bytes": size, "limit": limit},
    )


def _below_ceiling(
    subject: Subject, name: str, what: str, version: int, asked: int | None, newest: int
) -> Line:
    """A version against the contract's ceiling, else the target's, else the installed onnx's."""
    if asked is not None:
        ceiling, source = asked, "contract"
    elif subject.target is not None:
        ceiling = CEILINGS[subject.target][("opset_max", "ir_max").index(name)]
        source = f"oldest supported {subject.target}"
    else:
        ceiling, source = newest, "newest known to the installed onnx"
    return judged(
        name,
        version <= ceiling,
        found=f"{what} {version}",
        expected=f"<= {ceiling} ({source})",
        figures={"version": version, "limit": ceiling},
    )


def _nodes(*graphs: GraphProto | FunctionProto) -> Iterator[NodeProto]:
    """Every node, those inside If and Loop too."""
    for graph in graphs:
        for node in graph.node:
            yield node
            for attribute in node.attribute:
                inner = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
                yield from _nodes(*inner)


def _constants(graph: GraphProto) -> dict[str, TensorProto]:
    """Tensors that stand in the file, as initializers or Constant nodes."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found.update((node.output[0], a.t) for a in node.attribute if a.name == "value")
    return found


def _outside(subject: Subject) -> list[TensorProto]:
    """Tensors whose values lie in another file."""
    from onnx import TensorProto

    constants = _constants(subject.proto.graph).values()
    return [t for t in constants if t.data_location == TensorProto.EXTERNAL]


def _location(tensor: TensorProto) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "?")
