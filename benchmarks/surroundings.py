"""What a result was made with, for the files of benchmarks/results."""

from __future__ import annotations

import platform
from typing import Any


def environment() -> dict[str, Any]:
    """Versions, threads, kind of machine and GPU; not the host's name."""
    import torch

    from edgestill.pipeline.run import environment

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    told = environment()
    del told["host"]
    return {**told, "machine": platform.machine(), "gpu": gpu}
