"""The machine that a time was taken on, as one line: a time means nothing on another one."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

from ..deploy.agent.cpu import cpu
from ..deploy.agent.files import Files


def machine_fingerprint(root: Path = Path("/"), machine: str | None = None) -> str:
    """Processor, cores, clock governor and ONNX Runtime, and a hash of these with what has no room.

    As "x86_64 AMD EPYC 7R13, 2 cores, governor performance, onnxruntime 1.32.0 #3f9a12". In the
    hash: the processor's features, its clock limits, the cores online, usable by this process and
    granted to its control group. `root` is where /proc and /sys are read; `machine` stands for
    this process' own architecture.
    """
    import onnxruntime

    machine = machine or platform.machine()
    found = cpu(Files(root))
    cores = found["cores_usable"] or found["cores_online"] or 1
    granted = found["quota_cores"]
    if granted is not None and granted < cores:
        cores = round(granted, 2)
    words = [
        f"{machine} {' '.join((found['model'] or 'of unknown model').split())}",
        f"{cores:g} core{'s' * (cores != 1)}",
        *([f"governor {found['governor']}"] if found["governor"] else []),
        f"onnxruntime {onnxruntime.__version__}",
    ]
    canonical = json.dumps([machine, found, onnxruntime.__version__], sort_keys=True)
    return f"{', '.join(words)} #{hashlib.sha256(canonical.encode()).hexdigest()[:6]}"
