"""The agent's command line as a process sees it: JSON lines and exit codes, nothing else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.agent import cli

WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]
MAIN = "from edgestill.deploy.agent.cli import main; main()"


def answer(*argv: str) -> tuple[int, list[dict[str, Any]]]:
    out = io.StringIO()
    code = cli.run(list(argv), out)
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def request(model: Path, **changes: Any) -> str:
    case = {"model": str(model), "threads": 1}
    return json.dumps({"cases": [case], "seconds": 0.01, "warmup_seconds": 0.01} | changes)


def test_bench_ends_with_a_result(tiny_model: Path) -> None:
    code, lines = answer("bench", request(tiny_model, min_runs=200))

    assert code == 0
    assert {line["event"] for line in lines[:-1]} == {"progress", "slice"}
    assert lines[-1]["event"] == "result"
    assert lines[-1]["cases"][0]["runs"] >= 200


def test_a_request_may_be_a_file(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(request(tiny_model))

    code, lines = answer("bench", str(path))

    assert (code, lines[-1]["event"]) == (0, "result")


def test_probe_reads_the_root_it_is_given(write_files: WriteFiles) -> None:
    root = write_files({"proc/device-tree/model": "Some Board\0"})

    code, lines = answer("probe", "--root", str(root))

    assert code == 0
    assert [line["event"] for line in lines] == ["board"]
    assert lines[0]["board"]["device"] == "Some Board"


@pytest.mark.parametrize("given", ["{}", "{", "absent.json"])
def test_a_bad_request_is_one_error_line_and_exit_2(given: str) -> None:
    code, lines = answer("bench", given)

    assert code == 2
    assert [(line["event"], line["kind"]) for line in lines] == [("error", "request")]


def test_no_command_is_usage_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        answer()

    assert ended.value.code == 2
    assert "usage: edgestill-agent" in capsys.readouterr().err


def test_what_a_runtime_prints_goes_to_stderr(tiny_model: Path) -> None:
    chatty = "import os; from edgestill.deploy.agent import cli, measure\n"
    chatty += "old = measure.conditions\n"
    chatty += "shout = lambda *a: (print('hello'), os.write(1, b'from C\\n'), old(*a))[2]\n"
    chatty += "measure.conditions = shout\n"
    chatty += "cli.main()"

    done = subprocess.run(
        [sys.executable, "-c", chatty, "bench", request(tiny_model)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert all(json.loads(line)["protocol"] == 3 for line in done.stdout.splitlines())
    assert "hello" in done.stderr
    assert "from C" in done.stderr


def test_the_agent_ends_quietly_when_nobody_reads_its_lines(tiny_model: Path) -> None:
    agent = subprocess.Popen(
        [sys.executable, "-c", MAIN, "bench", request(tiny_model, seconds=600)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with agent:
        assert agent.stdout is not None
        agent.stdout.readline()

        agent.stdout.close()
        _, said = agent.communicate(timeout=60)

    assert agent.returncode == 130
    assert b"Traceback" not in said


def test_the_request_on_stdin_binds_the_agent_to_it(tiny_model: Path) -> None:
    long = request(tiny_model, seconds=600)
    agent = subprocess.Popen(
        [sys.executable, "-c", MAIN, "bench", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with agent:
        assert agent.stdin is not None
        assert agent.stdout is not None
        agent.stdin.write(f"{long}\n".encode())
        agent.stdin.flush()
        assert b"progress" in agent.stdout.readline()

        agent.stdin.close()

        assert agent.wait(timeout=60) == 130
