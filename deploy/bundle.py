"""The agent as one file: a zip that Python runs, the same bytes for the same sources and zlib.

python3 edgestill-agent.pyz bench '{"cases": [{"model": "model.onnx"}]}'
"""

from __future__ import annotations

import io
import os
import zipfile
from importlib import resources
from pathlib import Path

from . import agent

NAME = "edgestill-agent.pyz"
PACKAGE = "edgestill_agent"
MAIN = f"from {PACKAGE}.cli import main\n\nmain()\n"
SHEBANG = b"#!/usr/bin/env python3\n"


def agent_bundle() -> bytes:
    """The zip with the agent's sources and the line that starts them."""
    sources = {
        f"{PACKAGE}/{source.name}": source.read_bytes()
        for source in resources.files(agent).iterdir()
        if source.name.endswith(".py")
    }
    file = io.BytesIO(SHEBANG)
    file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file, "w") as bundle:
        for name, content in sorted({"__main__.py": MAIN.encode(), **sources}.items()):
            # A fixed date. Another zlib may pack the same sources into other bytes: then a device
            # gets the agent once more.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)
    return file.getvalue()


def write_agent(path: Path) -> Path:
    """Writes the bundle to `path`, complete or not at all, and executable; gives `path` back."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(agent_bundle())
        partial.chmod(0o755)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
