"""The agent on an emulated arm64 machine, with ONNX Runtime's own aarch64 build: `make test-arm64`.

It proves that the agent runs there and what it says, not how fast anything is.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from edgestill.deploy.bundle import write_agent
from edgestill.export.arm64 import Arm64
from edgestill.export.arm64_root import arm64_root
from edgestill.models.errors import MissingPackage

pytestmark = [pytest.mark.arm64, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def arm64(users_cache: Path) -> Arm64:
    """The machine in the user's cache, as `edgestill check --emulate arm64` keeps it."""
    try:
        files = arm64_root(users_cache / "edgestill" / "arm64", onnxruntime.__version__)
    except MissingPackage as reason:
        pytest.skip(str(reason))
    return Arm64(files=files)


def answer(arm64: Arm64, folder: Path, *words: str) -> list[dict[str, Any]]:
    """What the agent says there, line by line."""
    agent = write_agent(folder / "agent.pyz")
    done = subprocess.run(
        [*arm64.python(), str(agent), *words], env={}, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_probe_says_that_it_is_an_arm64_machine(arm64: Arm64, tmp_path: Path) -> None:
    (line,) = answer(arm64, tmp_path, "probe")

    assert line["board"]["machine"] == "aarch64"
    assert line["board"]["engines"]["onnxruntime"]["version"] == onnxruntime.__version__


def test_a_model_is_measured_there(arm64: Arm64, tmp_path: Path, tiny_model: Path) -> None:
    case = {"model": str(tiny_model), "threads": 1}
    request = {"cases": [case, {**case, "batch": 2}], "rounds": 2, "seconds": 0.2, "min_runs": 20}

    *_, result = answer(arm64, tmp_path, "bench", json.dumps(request))

    assert result["event"] == "result"
    assert [case["runs"] >= 20 for case in result["cases"]] == [True, True]
    assert result["cases"][0]["engine"]["provider"] == "CPUExecutionProvider"
