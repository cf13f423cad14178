"""The request that the device agent takes for an exported file, and the command that sends it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..deploy.agent.errors import AgentError
from ..deploy.agent.inputs import fixed_sizes
from ..deploy.agent.onnx_file import OnnxFile
from ..deploy.agent.protocol import Case, Request, checked
from ..deploy.agent.tensorrt_build import WORKSPACE_BYTES

BOARD = "ssh://USER@BOARD"


def agent_job(
    case: Case,
    onnx: OnnxFile,
    batch: tuple[int, int, int],
    workspace_bytes: int,
    side_files: Sequence[str],
) -> dict[str, Any]:
    """{"request", "profile", "notes"}, held to the agent's own rules, or {"request": None, "why"}.

    batch, workspace_bytes: as the plan has them; the agent builds for one batch, with a workspace
    of its own.
    """
    if side_files:
        return {"request": None, "why": f"the agent takes one file; {side_files[0]} lies beside it"}
    request = Request(cases=[case])
    try:
        checked(asdict(request))
        for name, declared in onnx.inputs.items():
            fixed_sizes(name, declared, case.batch)
    except AgentError as error:
        return {"request": None, "why": str(error)}
    words = ["edgestill", "profile", case.model, "--on", BOARD, "--engine", case.engine]
    words += ["--batch", str(case.batch), "--precision", case.precision]
    if case.dla_core is not None:
        words += ["--dla-core", str(case.dla_core)]
    notes = []
    if batch[0] != batch[2]:
        notes.append(f"the agent builds for a batch of {case.batch} alone")
    if workspace_bytes != WORKSPACE_BYTES:
        notes.append(f"the agent builds with a workspace of {WORKSPACE_BYTES} bytes")
    return {"request": asdict(request), "profile": shlex.join(words), "notes": notes}
