"""The `edgestill` command in forks of a process that has everything imported.

A run through all stages imports for five seconds and works for ten; a suite of a hundred runs need
not pay for the first each time. What is run is the command all the same, in a process of its own
with its own arguments, folder, environment and streams. What a cold start loads is tested with a
new Python.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

SERVER = """
import json, os, sys, traceback, warnings
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as cli.main does: a thread of it would be lost in forks
import jinja2, matplotlib.figure, matplotlib.backends.backend_svg
import onnxscript, onnxruntime, sklearn.datasets, torch, torch.onnx, torch.fx, torchvision.models
import tqdm
from torch import nn
import edgestill.pipeline.cli as cli, edgestill.pipeline.run
from edgestill.export.to_onnx import onnx_from_model
from edgestill.pipeline import commands, learning_plots, plots, power_plot
from edgestill.pipeline.flow import FLOW
for stage in FLOW:
    __import__("edgestill.pipeline.stages." + stage.name)
# The first export of a process takes seconds more than those that follow.
tqdm.tqdm.monitor_interval = 0  # no thread, which forks would lose
with warnings.catch_warnings(action="error"):  # what is said once must be said by the command
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    onnx_from_model(nn.Sequential(*layers, nn.Linear(4, 2)).eval(), (3, 8, 8))
if os.path.isdir("/proc/self/task"):
    assert os.listdir("/proc/self/task") == [str(os.getpid())], "forks would lose threads"
print("ready", flush=True)
for line in sys.stdin:
    told = json.loads(line)
    child = os.fork()
    if child == 0:
        code = 70
        try:
            for stream, path in ((1, told["out"]), (2, told["err"])):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(told["cwd"])
            os.environ.clear()
            os.environ.update(told["environment"])
            sys.argv = ["edgestill", *told["words"]]
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class WarmCommand:
    """Runs the command, one at a time; a context manager."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None
        self._streams = tempfile.TemporaryDirectory(prefix="edgestill-warm-")

    def run(
        self,
        *words: str | Path,
        cwd: Path,
        timeout: float = 120,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` with text and captured streams; `environment`: this process's."""
        self.begin(*words, cwd=cwd, environment=environment)
        return self.end(timeout)

    def begin(
        self, *words: str | Path, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Starts the command; `end` must follow."""
        server = self._started()
        told = {
            "words": list(map(str, words)),
            "cwd": str(cwd),
            "environment": dict(os.environ if environment is None else environment),
            "out": str(self._stream("out")),
            "err": str(self._stream("err")),
        }
        assert server.stdin
        server.stdin.write(json.dumps(told) + "\n")
        server.stdin.flush()
        self._told, self._child = told, int(self._line())

    def ended_within(self, seconds: float) -> bool:
        """Whether the command ends within so many seconds."""
        stdout = self._started().stdout
        assert stdout
        return bool(select.select([stdout], [], [], seconds)[0])

    def kill(self) -> None:
        """Ends the command by SIGKILL."""
        os.kill(self._child, signal.SIGKILL)

    def end(self, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """The command's exit code, -9 if it was killed, and all that it said."""
        late = not self.ended_within(timeout)
        if late:
            self.kill()
        code = int(self._line())
        words = ["edgestill", *self._told["words"]]
        if late:
            raise subprocess.TimeoutExpired(words, timeout)
        out, err = (
            self._stream(name).read_text() if self._stream(name).exists() else ""
            for name in ("out", "err")
        )
        return subprocess.CompletedProcess(words, code, out, err)

    def close(self) -> None:
        """Ends the process that waits."""
        if self._server is not None:
            self._server.communicate()
            self._server = None
        self._streams.cleanup()

    def _started(self) -> subprocess.Popen[str]:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-c", SERVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
            assert self._line() == "ready"
        return self._server

    def _line(self) -> str:
        # Unbuffered, so that select tells whether a line is there.
        assert self._server and self._server.stdout
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._server.stdout.fileno(), 1)
            if not byte:
                raise RuntimeError("the process that starts the command is gone")
            line += byte
        return line.decode().strip()

    def _stream(self, name: str) -> Path:
        return Path(self._streams.name) / name
