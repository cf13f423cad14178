"""The agent's two commands, `bench` and `probe`: JSON lines on stdout, all other talk on stderr.

Exit codes: 0 done; 1 refused, as figures in doubt; 2 the request cannot be used; 3 the device or a
package is missing; 130 interrupted. Started with `bench -`, the agent ends as soon as its stdin is
closed or has been silent for a minute, so it never outlives for long the process (or the SSH
connection) that asked for the measurement; what was set on the board is then set back (guard.py).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import IO, Any

from .board import board
from .errors import AgentError
from .lease import Lease
from .protocol import event_line, parse_request

ACKNOWLEDGED_S = 30.0  # that the asker has the result; then the journal stays, and it may ask again


def main() -> None:
    """Run and exit. (zipapp's `module:function` drops a return code, hence SystemExit.)"""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if ending == signal.SIGINT or signal.getsignal(ending) != signal.SIG_IGN:  # not of nohup
            signal.signal(ending, signal.default_int_handler)
    try:
        with _own_stdout() as out:
            code = run(sys.argv[1:], out)
    except BrokenPipeError:
        code = 130  # nobody listens any more
    raise SystemExit(code)


def run(argv: list[str], out: IO[str]) -> int:
    """Answer one command line on `out`; the exit code."""
    arguments = _parser().parse_args(argv)

    def say(event: str, content: dict[str, Any]) -> None:
        out.write(event_line(event, content))
        out.flush()

    try:
        if arguments.command == "probe":
            say("board", {"board": board(arguments.root)})
        else:
            _bench(arguments, say)
    except AgentError as error:
        say("error", {"kind": error.kind, "message": str(error)})
        return error.exit_code
    except (OSError, MemoryError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        say("error", {"kind": "device", "message": f"{type(error).__name__}: {error}"})
        return 3
    except KeyboardInterrupt:
        return 130
    return 0


def _bench(arguments: argparse.Namespace, say: Any) -> None:
    from .bench import bench  # a probe needs none of it

    lease = Lease(0) if arguments.request == "-" else None
    text = lease.request() if lease else _request_text(arguments.request)
    result, journal = bench(parse_request(text), say, arguments.root)
    say("result", result)
    if lease is None or lease.acknowledged(ACKNOWLEDGED_S):
        journal.remove()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgestill-agent", description="Measures models on this device."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    timing = commands.add_parser("bench", help="time models; the last JSON line is the result")
    timing.add_argument(
        "request",
        help='a JSON object such as {"cases": [{"model": "model.onnx"}]}, a file that holds one,'
        " or - for stdin, which must then stay open (lease.py)",
    )
    probing = commands.add_parser("probe", help="what this device is and can measure")
    for command in (timing, probing):
        command.add_argument(
            "--root",
            type=Path,
            default=Path("/"),
            help="read /proc and /sys, and find programs, below this folder (default: /)",
        )
    return parser


def _request_text(argument: str) -> str:
    if argument.lstrip().startswith("{"):
        return argument
    try:
        return Path(argument).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise AgentError("request", f"cannot read the request {argument}: {error}") from None


def _own_stdout() -> IO[str]:
    """A stream to the real stdout; file descriptor 1 itself then leads to stderr.

    Runtimes print from C++ as they like, and one such line among ours would spoil the protocol.
    """
    sys.stdout.flush()
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8", newline="\n")
