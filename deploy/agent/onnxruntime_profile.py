"""What ONNX Runtime's own profile tells: which nodes ran, on which provider, for how long."""

from __future__ import annotations

from typing import Any

KERNEL = "_kernel_time"


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
