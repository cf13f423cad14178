"""What a check of an export says: one line per promise, and the verdict over all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

SCHEMA = "edgestill.check/1"
"""Name and version of the report's JSON."""

Verdict = Literal["pass", "fail", "error", "undecided", "skipped"]
"""error: the line itself broke. undecided: what was measured on this machine cannot tell. skipped:
the material was missing, `why` says which."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One promise: what was found, what was expected."""

    name: str
    verdict: Verdict
    found: str = ""
    expected: str = ""
    why: str = ""
    """Why it is not a plain pass, or what limits one. Never empty for `skipped`."""
    figures: Mapping[str, float | int] = field(default_factory=dict)
    """The numbers behind `found`, for machines."""


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Every line of one check, in the order of checking."""

    model: str
    sha256: str
    bytes: int
    target: str | None
    reference: str | None
    inputs: str
    """The images that went through the model, in words."""
    tools: Mapping[str, str]
    """Versions of the packages that judged."""
    lines: tuple[Line, ...]
    allow_skipped: bool = True
    allow_undecided: bool = True
    required: tuple[str, ...] = ()
    """Lines that the contract sets a limit for: skipped, they fail."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Interface, operator domains, number types and metadata; see `check_facts.facts`."""

    def line(self, name: str) -> Line:
        """The line of that name; `KeyError` if neither contract nor material asked for it."""
        return {line.name: line for line in self.lines}[name]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many lines have each verdict."""
        return {
            verdict: sum(line.verdict == verdict for line in self.lines)
            for verdict in get_args(Verdict)
        }

    @property
    def ok(self) -> bool:
        """Nothing failed or broke, something passed, and nothing was skipped that may not be."""
        counts = self.counts
        return (
            not self.unchecked
            and counts["fail"] == counts["error"] == 0
            and counts["pass"] > 0
            and (self.allow_skipped or counts["skipped"] == 0)
            and (self.allow_undecided or counts["undecided"] == 0)
        )

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Limits of the contract that nothing was held against."""
        skipped = {line.name for line in self.lines if line.verdict == "skipped"}
        return tuple(name for name in self.required if name in skipped)

    @property
    def verdict(self) -> str:
        """The report in a sentence: "failed: 1 fail, 0 error, 12 pass, 2 skipped (not checked)"."""
        counts = self.counts
        shown = [name for name in counts if name != "undecided" or counts[name]]
        text = ", ".join(f"{counts[name]} {name}" for name in shown)
        return (
            f"{'passed' if self.ok else 'failed'}: {text}"
            + (" (not checked)" if counts["skipped"] else "")
            + (
                f"; a limit is set but not checked: {', '.join(self.unchecked)}"
                * bool(self.unchecked)
            )
        )

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values; a figure that is not finite is null."""
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "verdict": self.verdict,
            "counts": dict(self.counts),
            "model": self.model,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "target": self.target,
            "reference": self.reference,
            "inputs": self.inputs,
            "tools": dict(self.tools),
            "allow_skipped": self.allow_skipped,
            "allow_undecided": self.allow_undecided,
            "required": list(self.required),
            "facts": dict(self.facts),
            "lines": [
                {
                    "name": line.name,
                    "verdict": line.verdict,
                    "found": line.found,
                    "expected": line.expected,
                    "why": line.why,
                    "figures": {
                        name: value if math.isfinite(value) else None
                        for name, value in line.figures.items()
                    },
                }
                for line in self.lines
            ],
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> CheckReport:
        """The report that `to_json` wrote; figures that are null there are NaN."""
        lines = tuple(
            Line(
                **{
                    **line,
                    "figures": {
                        name: math.nan if value is None else value
                        for name, value in line["figures"].items()
                    },
                }
            )
            for line in told["lines"]
        )
        rest = {field.name: told[field.name] for field in fields(cls) if field.name != "lines"}
        return cls(**{**rest, "required": tuple(told["required"]), "lines": lines})


class Skip(Exception):
    """Raised inside a line: it cannot be checked, and why."""


class Fail(Exception):
    """Raised inside a line: it fails, and why."""


def judged(
    name: str,
    met: bool,
    *,
    found: str,
    expected: str,
    why: str = "",
    figures: Mapping[str, float | int] | None = None,
) -> Line:
    """A line that passes if `met`."""
    return Line(
        name=name,
        verdict="pass" if met else "fail",
        found=found,
        expected=expected,
        why=why,
        figures=figures or {},
    )
