"""The emulated processor of `edgestill check --emulate arm64[:CPU]`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .events import emit

if TYPE_CHECKING:
    from ..export.arm64 import Arm64


def emulated(named: str) -> Arm64:
    """The processor of that name, its machine set up in the user's cache on first use.

    `BadInput`: no such processor; `MissingPackage`: this host cannot emulate it.
    """
    from ..export.arm64 import CPU, CPUS, Arm64
    from ..export.arm64_root import arm64_root

    architecture, _, cpu = named.partition(":")
    if architecture != "arm64" or (cpu and cpu not in CPUS):
        raise BadInput(
            f"--emulate {named}: expected arm64 (that is arm64:{CPU}) or arm64:CPU with one of"
            f" {', '.join(CPUS)}"
        )
    import onnxruntime

    # The version of this process, so that arm64 differs from it in the processor alone.
    files = arm64_root(
        arm64_cache(), onnxruntime.__version__, say=lambda text: emit("note", text=text)
    )
    return Arm64(files=files, cpu=cpu or CPU)


def arm64_cache() -> Path:
    """Where the machine is kept: below $XDG_CACHE_HOME, else ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "edgestill" / "arm64"
