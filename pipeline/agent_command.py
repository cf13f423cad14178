"""`edgestill agent FILE.pyz`: the device agent as a file, for boards that no SSH reaches."""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path

from ..deploy.bundle import NAME, PACKAGE, write_agent
from ..models.errors import BadInput
from .wording import size

USE = """\
It needs Python 3.8 or newer, numpy, and ONNX Runtime or TensorRT to run models with.
Copy it and the models to the board; there:

  python3 {file} probe
  python3 {file} bench '{{"cases": [{{"model": "model.onnx"}}]}}' > result.jsonl

The last line that each prints is the answer, a JSON object: "event" is "board", "result", or
"error" with a message that says what is wrong or missing. To read it:

  tail -n 1 result.jsonl | python3 -m json.tool

In a result, each of "cases" has latency_ms, throughput_per_s and energy (energy_mj is for one
run); what was not measured is null, and energy.source says why. "flags" are the doubts about it.
Several models in "cases" take turns; {file} bench --help says more."""


def agent_command(path: Path) -> None:
    """Write the agent to `path` and say how to use it. Replaces an earlier agent, nothing else.

    Raises:
        BadInput: there is no such folder, or something that is no agent stands there.
    """
    folder = path.parent
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; make it first, or write the agent elsewhere")
    if path.is_dir():
        raise BadInput(f"{path} is a folder; give a file in it: {path / NAME}")
    if (path.exists() or path.is_symlink()) and not _is_agent(path):
        raise BadInput(f"{path} exists and is no agent; it is left as it is. Give another name")
    write_agent(path)
    print(f"wrote {path} ({size(path.stat().st_size)})")
    print(USE.format(file=shlex.quote(path.name)))


def _is_agent(path: Path) -> bool:
    if not path.is_file():  # a pipe or a device: reading it could take for ever
        return False
    try:
        with zipfile.ZipFile(path) as bundle:
            return f"{PACKAGE}/cli.py" in bundle.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
