"""The lines of a check that read the file and run nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .check_report import Fail, Line, judged
from .check_subject import Subject
from .graph import nested_nodes
from .model_parts import tensors
from .runtime import one_line
from .runtimes import OLDEST, newest_for, oldest
from .tensorrt_lines import QUANTIZERS, refusals, shortened
from .tensorrt_lint import VERSIONS

if TYPE_CHECKING:
    from onnx import TensorProto

NAMED = re.compile(rf" \((?:{'|'.join(QUANTIZERS)})\): ")


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
    # ValueError: an element type that does not exist.
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise Fail(one_line(error)) from error
    return judged("shapes", True, found="agree", expected="declared shapes agree with inference")


def operators(subject: Subject) -> Line:
    """Every operator is one that the target knows, in a form that it takes."""
    import onnx

    ours = {(function.domain, function.name) for function in subject.proto.functions}
    domains = {"", "ai.onnx"}
    if subject.target != "tensorrt":
        domains |= {"ai.onnx.ml", "com.microsoft"}
    strange: set[str] = set()
    for node in nested_nodes(subject.proto.graph, *subject.proto.functions):
        if (node.domain, node.op_type) in ours:
            continue
        standard = node.domain in ("", "ai.onnx")
        if node.domain not in domains or (standard and not onnx.defs.has(node.op_type)):
            strange.add(f"{node.domain or 'ai.onnx'}::{node.op_type}")
    unknown = f"unknown: {', '.join(sorted(strange))}" if strange else ""
    if subject.target == "tensorrt":
        return _operators_of_tensorrt(subject, unknown)
    return judged(
        "operators",
        not strange,
        found=unknown or "all known",
        expected=f"operators that {subject.target or 'ONNX Runtime'} knows",
    )


def _operators_of_tensorrt(subject: Subject, unknown: str) -> Line:
    """By the operator tables of its releases; see tensorrt_lint."""
    refused = refusals(subject.proto, quantizers=False)
    found = f"{len(refused.hard)} findings" if refused.hard else "all known"
    old = f"only TensorRT 8.6 refuses: {shortened(refused.old)}" if refused.old else ""
    return judged(
        "operators",
        not unknown and not refused.hard,
        found=unknown or found,
        expected=f"operators that TensorRT {OLDEST['tensorrt']} to {VERSIONS[-1]} take",
        why=shortened(refused.hard) or old,
        figures={"refused": len(refused.hard), "refused_by_old_releases": len(refused.old)},
    )


def quantizers(subject: Subject) -> Line:
    """For TensorRT: Q/DQ in int8 with zero point 0; uint8 is rejected there, an int32 bias too."""
    nodes = nested_nodes(subject.proto.graph, *subject.proto.functions)
    count = sum(node.op_type in QUANTIZERS for node in nodes)
    refused = refusals(subject.proto, quantizers=True)
    # A finding begins "NODE (OP): "; a name may have blanks in it, and several nodes may share it.
    wrong = min(count, len({NAMED.split(text, maxsplit=1)[0] for text in refused.hard}))
    old = f"only TensorRT 8.6 refuses: {shortened(refused.old)}" if refused.old else ""
    return judged(
        "quantizers",
        not refused.hard,
        found=f"{count - wrong} of {count} Q/DQ nodes",
        expected="int8 with zero point 0 in all",
        why=shortened(refused.hard) or old,
        figures={"wrong": wrong, "total": count},
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
        ceiling = newest_for(subject.target)[("opset_max", "ir_max").index(name)]
        source = f"{oldest(subject.target)}, the oldest that a file for {subject.target} must suit"
    else:
        ceiling, source = newest, "newest known to the installed onnx"
    return judged(
        name,
        version <= ceiling,
        found=f"{what} {version}",
        expected=f"<= {ceiling} ({source})",
        figures={"version": version, "limit": ceiling},
    )


def _outside(subject: Subject) -> list[TensorProto]:
    """Tensors whose values lie in another file, wherever they are held."""
    from onnx import TensorProto

    every = (held.tensor for held in tensors(subject.proto))
    return [t for t in every if t.data_location == TensorProto.EXTERNAL]


def _location(tensor: TensorProto) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "?")
