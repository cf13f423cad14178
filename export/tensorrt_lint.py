"""The lint: what TensorRT's parser of a given release would stop at, read in the file alone.

No TensorRT is needed. What each release takes is data, with its sources, in
tensorrt_operators.json: the operator tables of NVIDIA's ONNX parser, and rules read in its source.
Building an engine can fail for reasons that no file shows: memory, a missing tactic, a plugin.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .qdq_placement import misplaced
from .runtimes import runtime_of
from .tensorrt_attributes import MILD, RULES
from .tensorrt_finding import Finding, named
from .tensorrt_products import SOURCE as PLACEMENT_SOURCE
from .tensorrt_products import product_findings
from .tensorrt_quantizers import quantizer_findings
from .tensorrt_types import type_findings
from .tensorrt_view import View, well_formed

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

VERSIONS = ("8.6", "10.3", "10.16", "11.4")
"""Oldest first."""

AWKWARD = set(",:'\"*") | set(" \t\r\n")
"""What trtexec's --shapes=name:1x3x224x224,other:... takes for its own."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """What one release takes of one operator."""

    types: tuple[str, ...]
    """numpy's words, and bfloat16, float8e4m3fn, int4, float4e2m1. Empty: not documented."""
    restriction: str
    rule: str | None
    """A function of tensorrt_attributes."""


def tensorrt_lint(proto: ModelProto, version: str) -> tuple[Finding, ...]:
    """What TensorRT `version` (one of `VERSIONS`) does not take of the model, errors first.

    Side files are not needed. Raises `BadInput` for a version that there is no table for.
    """
    return _lint(View(proto), version)


def lint_every_version(proto: ModelProto) -> dict[str, tuple[Finding, ...]]:
    """Version -> findings, for all of `VERSIONS`."""
    view = View(proto)
    return {version: _lint(view, version) for version in VERSIONS}


def operators_of(version: str) -> dict[str, Operator]:
    """Every operator that the parser of TensorRT `version` imports."""
    tables = _tables()[0]
    if version not in tables:
        raise BadInput(
            f"there is no operator table for TensorRT {version!r}; known: {', '.join(VERSIONS)}"
        )
    return tables[version]


def source_of(version: str) -> str:
    """Where the operator table of `version` was read."""
    return _tables()[1][version]


def _lint(view: View, version: str) -> tuple[Finding, ...]:
    table, number = operators_of(version), tuple(int(part) for part in version.split("."))
    source = source_of(version)
    found = [
        *_opset(view, version),
        *_operators(view, table, number, source),
        *(
            Finding(**{**vars(finding), "source": finding.source or source})
            for finding in type_findings(
                view, number, {name: operator.types for name, operator in table.items()}
            )
        ),
        *quantizer_findings(view, number),
        *product_findings(view),
        *_placement(view),
        *_names(view),
    ]
    return tuple(sorted(found, key=lambda finding: finding.severity))


def _opset(view: View, version: str) -> Iterator[Finding]:
    """No error: the parser never compares, and most operators read the same in a newer opset."""
    runtime = runtime_of(f"tensorrt-{version}")
    if view.opset > runtime.opset_max:
        why = f"opset {view.opset} is newer than {runtime.opset_max}, which this release documents"
        yield Finding(node="the file", op="", severity="warning", why=why, source=runtime.source)


def _operators(
    view: View, table: dict[str, Operator], version: tuple[int, ...], source: str
) -> Iterator[Finding]:
    for node in view.broken:
        yield Finding(
            node=named(node),
            op=node.op_type,
            severity="error",
            why="it lacks inputs or outputs, or an attribute is of another type than ONNX says",
            source="the operator's schema in ONNX",
        )
    inside = (node for function in view.proto.functions for node in function.node)
    for node in (*view.nodes, *filter(well_formed, inside)):
        problem = _unknown(view, node, table, version)
        operator = table.get(node.op_type)
        if not problem and operator is not None and operator.rule is not None:
            problem = RULES[operator.rule](view, node, version)
        if problem:
            yield Finding(
                node=named(node),
                op=node.op_type,
                severity="warning" if problem.startswith(MILD) else "error",
                why=problem.removeprefix(MILD),
                source=source,
            )


def _unknown(
    view: View, node: NodeProto, table: dict[str, Operator], version: tuple[int, ...]
) -> str:
    """The parser goes by the operator's name alone: its own first, then functions, then plugins."""
    if node.op_type in table:
        if node.domain in ("", "ai.onnx") or node.op_type in view.functions:
            return ""
        return f"{MILD}it is of {node.domain}; the parser takes it for ONNX's {node.op_type}"
    if node.op_type in view.functions:
        return "it is a function of the file; TensorRT 8.6 reads none" if version < (9,) else ""
    domain = f"{node.domain}::" if node.domain else ""
    if node.op_type.endswith("_TRT") or node.op_type.startswith("TRT_"):
        return f"{MILD}it needs TensorRT's plugin {domain}{node.op_type}"
    return f"the parser has no operator {domain}{node.op_type}, only a plugin could bring it"


def _placement(view: View) -> Iterator[Finding]:
    for text in misplaced(view.proto.graph, "tensorrt"):
        node, _, why = text.partition(": ")
        yield Finding(
            node=node,
            op="",
            severity="warning",
            why=why,
            source=PLACEMENT_SOURCE,
        )


def _names(view: View) -> Iterator[Finding]:
    for name in (*view.inputs, *sorted(view.outputs)):
        if strange := sorted(AWKWARD & set(name)):
            why = f"its name has {strange[0]!r}, which trtexec's --shapes takes for its own"
            yield Finding(
                node=name, op="", severity="warning", why=why, source="options of trtexec"
            )


@cache
def _tables() -> tuple[dict[str, dict[str, Operator]], dict[str, str]]:
    text = (files(__package__) / "tensorrt_operators.json").read_text(encoding="utf-8")
    data = json.loads(text)
    tables = {
        version: {
            name: Operator(
                types=tuple(row["types"]), restriction=row["restriction"], rule=row["rule"]
            )
            for name, row in rows.items()
        }
        for version, rows in data["operators"].items()
    }
    return tables, data["sources"]
