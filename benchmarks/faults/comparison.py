"""What the tools said of every file, as counts, tables and plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from .judges import OURS, TOOLS, Judgement


@dataclass(kw_only=True)
class Row:
    """One file, and what each tool says of it."""

    name: str
    on: str
    group: str
    what: str = ""
    seen: str = ""
    told: dict[str, Judgement] = field(default_factory=dict)

    def alarm(self, tool: str) -> bool | None:
        return self.told[tool].alarm if tool in self.told else None


@dataclass(kw_only=True)
class Comparison:
    """All rows, and what follows from them."""

    versions: dict[str, str]
    faults: list[Row] = field(default_factory=list)
    good: list[Row] = field(default_factory=list)
    tolerances: dict[str, float | None] = field(default_factory=dict)
    """Polygraphy's least absolute tolerance that passes the good builds, by base."""
    unwritten: dict[str, str] = field(default_factory=dict)
    """Why there is no contract, by base."""

    def broken(self) -> list[str]:
        """Promises that do not hold."""
        return [
            *(
                f"{row.name} in {row.on} is not caught"
                for row in self.faults
                if not row.alarm(OURS)
            ),
            *(
                f"{row.on}, {row.name}: a good build fails ({row.told[OURS].why})"
                for row in self.good
                if row.alarm(OURS)
            ),
            *(f"no contract for {name}: {why}" for name, why in self.unwritten.items()),
        ]

    def counts(self, rows: Iterable[Row]) -> dict[str, int | None]:
        """Alarms by tool; None for a tool that did not judge."""
        listed = list(rows)
        return {
            tool: sum(bool(row.alarm(tool)) for row in listed)
            if any(tool in row.told for row in listed)
            else None
            for tool in TOOLS
        }

    def content(self) -> dict[str, Any]:
        def plain(row: Row) -> dict[str, Any]:
            return {**asdict(row), "told": {tool: asdict(each) for tool, each in row.told.items()}}

        return {
            "command": "python benchmarks/check_catches.py --polygraphy PATH",
            "tools": self.versions,
            "faults": len(self.faults),
            "caught": self.counts(self.faults),
            "good_builds": len(self.good),
            "false_alarms": self.counts(self.good),
            "fitted_tolerances": self.tolerances,
            "broken": self.broken(),
            "fault_rows": [plain(row) for row in self.faults],
            "good_rows": [plain(row) for row in self.good],
        }

    def markdown(self) -> str:
        """Both tables, and the totals before them."""
        caught, false = self.counts(self.faults), self.counts(self.good)
        networks = len({row.on for row in self.good})
        lines = [
            "# Export faults: who notices",
            "",
            "Written by benchmarks/check_catches.py; its head says how each tool is asked. "
            + "; ".join(f"{tool} {number}" for tool, number in self.versions.items())
            + ".",
            "",
            _row("", *TOOLS),
            _row(*["---"] * (len(TOOLS) + 1)),
            _row(f"faults caught, of {len(self.faults)}", *(_count(caught[t]) for t in TOOLS)),
            _row(
                f"false alarms on {len(self.good)} good builds of {networks} exports",
                *(_count(false[t]) for t in TOOLS),
            ),
            "",
            "## Faults",
            "",
            _row("fault", "planted in", *TOOLS[:-1], "lines of edgestill check that fail"),
            _row(*["---"] * (len(TOOLS) + 2)),
        ]
        for row in self.faults:
            name = f"{row.name.replace('_', ' ')}{f' ({row.seen})' * bool(row.seen)}"
            ours = row.told[OURS].why if row.alarm(OURS) else "**missed**"
            lines.append(_row(name, row.on, *(_mark(row.alarm(t)) for t in TOOLS[:-1]), ours))
        lines += ["", "## Good builds", "", _row("export", "build", *TOOLS)]
        lines.append(_row(*["---"] * (len(TOOLS) + 2)))
        for row in self.good:
            marks = ("false alarm" if row.alarm(t) else _mark(row.alarm(t)) for t in TOOLS)
            lines.append(_row(row.on, row.name, *marks))
        return "\n".join(lines)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _mark(alarm: bool | None) -> str:
    return {True: "caught", False: "", None: "not run"}[alarm]


def _count(number: int | None) -> str:
    return "not run" if number is None else str(number)
