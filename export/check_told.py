"""What a checking process says of its check, and the report that comes of it, whole or not."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models import errors
from ..models.errors import BadInput, EdgestillError
from ..models.plain_text import printable
from .check_limits import MOST_MODEL_BYTES, Limits
from .check_report import CheckReport, Line

if TYPE_CHECKING:
    from .contract import Contract


@dataclass
class Told:
    """What a child has said of its check so far."""

    begun: Callable[[str], None] | None = None
    ended: Callable[[Line], None] | None = None
    planned: list[str] = field(default_factory=list)
    lines: dict[str, Line] = field(default_factory=dict)
    now: str | None = None
    """The line in progress."""
    whole: dict[str, Any] | None = None
    raised: EdgestillError | None = None
    why: str = ""
    """How the child ended, if before its report."""

    def hear(self, event: Mapping[str, Any]) -> None:
        if "report" not in event:
            event = _printable(event)
        match event:
            case {"planned": [*names]}:
                self.planned = list(map(str, names))
            case {"begun": str(name)}:
                self.now = name
                if name not in self.planned:
                    self.planned.append(name)
                if self.begun is not None:
                    self.begun(name)
            case {"ended": {"name": str(name)} as told}:
                self.now = None
                self.lines[name] = Line(**told)
                if self.ended is not None:
                    self.ended(self.lines[name])
            case {"report": dict(report)}:
                # The facts are for programs: names there are the file's, for feeds and contracts.
                self.whole = {**_printable(report), "facts": report.get("facts", {})}
            case {"raised": {"kind": str(kind), "says": str(says), "code": int(code)}}:
                self.raised = _error(kind, says, code)
            case {"broke": str(says)}:
                self.why = f"broke: {says}"

    def over(self, how: Mapping[str, Any], limits: Limits) -> None:
        """The child has ended; says how, if it came to no report."""
        if self.whole is not None or self.raised is not None or self.why:
            return
        if how["cut"] == "talk":
            self.why = "said more than any report takes"
        elif how["cut"] == "time":
            self.why = f"did not end within {limits.timeout_s:g} s; allow more with --timeout"
        elif how["signal"] == signal.SIGXCPU:
            self.why = "used up its processor time; allow more with --timeout"
        elif how["signal"] is not None:
            self.why = f"ended by signal {how['signal']} ({_signal_name(how['signal'])})"
            if how["signal"] in (signal.SIGABRT, signal.SIGKILL):
                memory = (limits.memory_bytes or 0) / 1e9
                self.why += f", as when memory runs out ({memory:.3g} GB; more with --memory)"
        else:
            self.why = f"ended with exit code {how['code']} and without a report"
        if how["said"]:
            self.why += f"; its last words: {printable(' '.join(how['said'].split())[-200:])}"

    def report(
        self, path: Path, *, contract: Contract, target: str | None, reference: Path | None
    ) -> CheckReport:
        """The report, made up here from the finished lines if the child did not come to it."""
        if self.raised is not None:
            raise self.raised
        if self.whole is not None:
            return CheckReport.from_json(self.whole)
        if not self.planned:
            beside = "" if reference is None else f" or its reference {reference}"
            raise BadInput(f"{path}{beside} could not be opened for a check: {self.why}")
        return CheckReport(
            model=str(path),
            sha256=_sha256(path),
            bytes=path.stat().st_size,
            target=target or contract.target,
            reference=None if reference is None else str(reference),
            inputs="not told: the check did not come to its end",
            tools={name: version(name) for name in ("onnx", "onnxruntime")},
            lines=tuple(self._completed()),
            allow_skipped=contract.allow_skipped,
            allow_undecided=contract.allow_undecided,
            required=contract.limits(target or contract.target),
        )

    def _completed(self) -> Iterator[Line]:
        """The finished lines, the one that did not end, and those that it kept from beginning."""
        broken = self.now
        for name in self.planned:
            if name in self.lines:
                yield self.lines[name]
            elif broken in (None, name):
                broken = name
                yield Line(name=name, verdict="error", why=f"the process that checked {self.why}")
            else:
                why = f"{broken!r} ended the process before it"
                yield Line(name=name, verdict="skipped", why=why)
        if broken is None:
            yield Line(name="report", verdict="error", why=f"the process that checked {self.why}")


def _printable(told: Any) -> Any:
    """JSON values whose texts do nothing to a terminal: ONNX Runtime quotes names as they are."""
    if isinstance(told, dict):
        return {_printable(key): _printable(value) for key, value in told.items()}
    if isinstance(told, list):
        return [_printable(value) for value in told]
    return printable(told) if isinstance(told, str) else told


def _sha256(path: Path) -> str:
    """The file's; "" where it is too large to have been an ONNX file."""
    if path.stat().st_size > MOST_MODEL_BYTES:
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _error(kind: str, says: str, code: int) -> EdgestillError:
    """The child's error again: of its kind if it is one of `models/errors.py`."""
    known = vars(errors).get(kind)
    if isinstance(known, type) and issubclass(known, EdgestillError):
        return known(says)
    error = EdgestillError(says)
    error.exit_code = code
    return error


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
