"""Which file a model is, so that numbers stay tied to it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from .errors import AgentError


def fingerprint(path: Path) -> dict[str, Any]:
    """{"sha256", "bytes"} of the file.

    Raises:
        AgentError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        reason = error.strerror or error
        raise AgentError("request", f"cannot read the model file {path}: {reason}") from None
    return {"sha256": digest.hexdigest(), "bytes": size}
