"""The agent as one zip: the same bytes each time, and alive under each Python found from 3.8."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgestill.deploy.bundle import agent_bundle, write_agent

CORE = Path(__file__).parent / "agent" / "old_python.py"
SOURCES = Path(__file__).parents[2] / "deploy" / "agent"
MINORS = range(8, 15)


def python(minor: int) -> str:
    """A Python 3.`minor` without our packages; skips the test if there is none."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    kept = sorted(root.glob(f"versions/3.{minor}.*/bin/python"))
    found = (
        str(kept[-1]) if kept else shutil.which(f"python3.{minor}", path="/usr/local/bin:/usr/bin")
    )
    if found is None:
        pytest.skip(f"no Python 3.{minor} on this machine")
    return found


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    here = agent_bundle()

    code = "import sys; from edgestill.deploy.bundle import agent_bundle as b;"
    code += "sys.stdout.buffer.write(b())"
    elsewhere = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path)

    assert here == elsewhere


def test_the_bundle_holds_every_source_of_the_agent_and_nothing_else() -> None:
    with zipfile.ZipFile(io.BytesIO(agent_bundle())) as bundle:
        names = bundle.namelist()

    assert names == sorted(names)
    assert {*names} == {"__main__.py", *(f"edgestill_agent/{p.name}" for p in SOURCES.glob("*.py"))}


@pytest.mark.parametrize("minor", range(11, 15))
def test_another_python_makes_the_same_bytes(tmp_path: Path, minor: int) -> None:
    (tmp_path / "edgestill").mkdir()
    (tmp_path / "edgestill" / "deploy").symlink_to(SOURCES.parent)
    code = "import sys; from edgestill.deploy.bundle import agent_bundle as b;"
    code += "sys.stdout.buffer.write(b())"

    there = subprocess.check_output(
        [python(minor), "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )

    assert there == agent_bundle()


def test_a_written_agent_is_complete_and_executable(tmp_path: Path) -> None:
    path = write_agent(tmp_path / "edgestill-agent.pyz")

    assert path.read_bytes() == agent_bundle()
    assert os.access(path, os.X_OK)
    assert [file.name for file in tmp_path.iterdir()] == ["edgestill-agent.pyz"]


@pytest.mark.parametrize("minor", MINORS)
def test_the_core_works_under_every_python_a_board_may_have(tmp_path: Path, minor: int) -> None:
    interpreter = python(minor)
    agent = write_agent(tmp_path / "agent.pyz")
    # The zip first on the path, as when Python runs it; the script itself comes from stdin.
    code = f"import sys; sys.path.insert(0, {str(agent)!r})\n{CORE.read_text()}"

    done = subprocess.run([interpreter, "-"], input=code, capture_output=True, text=True)

    assert done.stdout.endswith("core ok\n"), done.stderr


@pytest.mark.parametrize("minor", [8, 13])
def test_without_packages_probe_answers_and_bench_says_what_is_missing(
    tmp_path: Path, minor: int
) -> None:
    # -S: no site-packages, should this Python have some.
    command = [python(minor), "-S", str(write_agent(tmp_path / "agent.pyz"))]

    (tmp_path / "m.onnx").write_bytes(b"weights")
    request = json.dumps({"cases": [{"model": str(tmp_path / "m.onnx")}]})

    probed = subprocess.run([*command, "probe"], capture_output=True, text=True)
    benched = subprocess.run([*command, "bench", request], capture_output=True, text=True)

    board = json.loads(probed.stdout)["board"]
    assert probed.returncode == 0
    assert board["engines"]["onnxruntime"] is None
    assert "No module named" in board["unread"]["onnxruntime"]
    error = json.loads(benched.stdout.splitlines()[-1])
    assert benched.returncode == 3
    assert (error["event"], error["kind"]) == ("error", "missing")
    assert "-m pip install numpy" in error["message"]


def test_the_bundle_is_small() -> None:
    assert len(agent_bundle()) < 200_000
