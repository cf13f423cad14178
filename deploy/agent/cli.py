"""The agent's two commands, `bench` and `probe`: JSON lines on stdout, all other talk on stderr.

Exit codes: 0 done; 2 the request cannot be used; 3 the device or a package is missing; 130
interrupted. Started with `bench -`, the agent ends as soon as its stdin is closed, so it never
outlives the process (or the SSH connection) that asked for the measurement.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path
from typing import IO, Any

from .bench import bench
from .board import board
from .errors import AgentError
from .protocol import event_line, parse_request

LONGEST_REQUEST = 65536


def main() -> None:
    """Run and exit. (zipapp's `module:function` drops a return code, hence SystemExit.)"""
    try:
        with _own_stdout() as out:
            code = run(sys.argv[1:], out)
    except BrokenPipeError:
        code = 130  # nobody listens any more
    raise SystemExit(code)


def run(argv: list[str], out: IO[str]) -> int:
    """Answer one command line on `out`; the exit code."""
    arguments = _parser().parse_args(argv)

    def tell(phase: str, done: float, total: float, unit: str) -> None:
        _say(out, "progress", phase=phase, done=done, total=total, unit=unit)

    try:
        if arguments.command == "probe":
            _say(out, "board", board=board(arguments.root))
        else:
            request = parse_request(_request_text(arguments.request))
            _say(out, "result", **bench(request, tell, arguments.root))
    except AgentError as error:
        _say(out, "error", kind=error.kind, message=str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgestill-agent", description="Measures a model on this device."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    timing = commands.add_parser("bench", help="time a model; one JSON line with the result")
    timing.add_argument(
        "request",
        help='a JSON object such as {"model": "model.onnx"}, a file that holds one, or - for stdin',
    )
    probing = commands.add_parser("probe", help="what this device is and can measure")
    for command in (timing, probing):
        command.add_argument(
            "--root",
            type=Path,
            default=Path("/"),
            help="read /proc and /sys below this folder (default: /)",
        )
    return parser


def _say(out: IO[str], event: str, **content: Any) -> None:
    out.write(event_line(event, content))
    out.flush()


def _request_text(argument: str) -> str:
    if argument == "-":
        text = _line_of(0)
        threading.Thread(target=_end_when_closed, args=(0,), daemon=True).start()
        return text
    if argument.lstrip().startswith("{"):
        return argument
    try:
        return Path(argument).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise AgentError("request", f"cannot read the request {argument}: {error}") from None


def _line_of(descriptor: int) -> str:
    # Not sys.stdin: its buffer would hold a lock that the interpreter waits for when it ends.
    line = b""
    while not line.endswith(b"\n") and len(line) < LONGEST_REQUEST:
        byte = os.read(descriptor, 1)
        if not byte:
            break
        line += byte
    return line.decode("utf-8", "replace")


def _end_when_closed(descriptor: int) -> None:
    while os.read(descriptor, 4096):
        pass
    os._exit(130)


def _own_stdout() -> IO[str]:
    """A stream to the real stdout; file descriptor 1 itself then leads to stderr.

    Runtimes print from C++ as they like, and one such line among ours would spoil the protocol.
    """
    sys.stdout.flush()
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8", newline="\n")
