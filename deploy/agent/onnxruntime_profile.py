"""What ONNX Runtime's own profile tells: which nodes ran, on which provider, for how long."""

from __future__ import annotations

import re
from typing import Any, Sequence

KERNEL = "_kernel_time"
HEAVY = re.compile(r"^(QLinear|Q|Fused|NhwcFused)?(Conv|ConvTranspose|Gemm|MatMul)(Integer)?\b")
"""Operators that must not run elsewhere than asked for without a word."""


def nodes_of(profile: list[dict[str, Any]], uncounted: int = 0) -> list[dict[str, Any]]:
    """{"name", "by", "us"} of each node in ONNX Runtime's profile, in running order.

    `name` is the operator and the node, `by` the provider, `us` the sum over all runs but the first
    `uncounted`.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    runs = 0
    for event in profile:
        if event["name"] == "model_run":  # written after its nodes
            runs += 1
        elif event["cat"] == "Node" and event["name"].endswith(KERNEL):
            name, facts = event["name"][: -len(KERNEL)], event["args"]
            key = (name, str(facts.get("node_index")))
            told = f"{facts['op_name']} {name}"
            node = found.setdefault(key, {"name": told, "by": facts["provider"], "us": 0})
            node["us"] += event["dur"] if runs >= uncounted else 0
    return list(found.values())


def fallback_of(nodes: list[dict[str, Any]], wanted: Sequence[str]) -> str | None:
    """What of the heavy work ran on none of the `wanted` providers, in words; None: nothing."""
    # Not of how many: what TensorRT has fused does not stand in the profile one by one.
    left = [node for node in nodes if HEAVY.search(node["name"]) and node["by"] not in wanted]
    if not left:
        return None
    others = ", ".join(sorted({node["by"] for node in left}))
    return f"convolutions or matrix products that run on {others}: {len(left)}"
