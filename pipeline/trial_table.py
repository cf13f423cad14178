"""The candidates that were tried, as a table: who lost, when and why; the last dropped first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .material import Candidate

NOT_TRAINED = "-"


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One candidate as cells of text."""

    candidate: Candidate
    errors: tuple[str, ...]
    """One for each rung of the table."""
    dropped: str


@dataclass(frozen=True, kw_only=True)
class TrialTable:
    """All that were tried; without rows if none was."""

    epochs: tuple[int, ...]
    """Trained when each rung ended, all rungs before it included."""
    rows: tuple[TrialRow, ...]


def trial_table(candidates: Sequence[Candidate]) -> TrialTable:
    """The chosen one, then the others by how long they stayed and by their error."""
    tried = [each for each in candidates if each.rungs]
    epochs = sorted({rung.epochs for each in tried for rung in each.rungs})
    rows = [_row(each, epochs) for each in sorted(tried, key=_standing)]
    return TrialTable(epochs=tuple(epochs), rows=tuple(rows))


def _standing(candidate: Candidate) -> tuple[bool, int, float, str]:
    last = candidate.rungs[-1]
    error = 1.0 if last.error is None else last.error
    return not candidate.chosen, -last.epochs, error, candidate.spec


def _row(candidate: Candidate, epochs: Sequence[int]) -> TrialRow:
    found = {rung.epochs: rung.error for rung in candidate.rungs}
    after = candidate.dropped_after_epochs
    return TrialRow(
        candidate=candidate,
        errors=tuple(_error(found[each]) if each in found else NOT_TRAINED for each in epochs),
        dropped="chosen" if after is None else f"after {after} epoch{'s' if after > 1 else ''}",
    )


def _error(share: float | None) -> str:
    return "diverged" if share is None else f"{100 * share:.2f} %"
