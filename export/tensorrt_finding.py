"""One thing that TensorRT does not take, or takes otherwise than the file says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from onnx import NodeProto


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding of the lint."""

    node: str
    """Its name, else the value that it gives; for an input or output of the network, that."""
    op: str
    """"" where the finding is about a value or about the file."""
    severity: Literal["error", "warning"]
    """error: the parser or the build stops, or the engine computes something else.
    warning: it works, with less speed or with another type than the file says."""
    why: str
    source: str

    def __str__(self) -> str:
        return f"{self.node} ({self.op}): {self.why}" if self.op else f"{self.node}: {self.why}"


def named(node: NodeProto) -> str:
    """What to call a node in a sentence."""
    return node.name or next(iter(node.output), "") or node.op_type
