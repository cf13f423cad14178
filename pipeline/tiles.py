"""The four answers at the head of a report: accuracy kept, smaller, faster, budget."""

from __future__ import annotations

from dataclasses import dataclass

from .headline import Headline, at, compared_bytes, ratio
from .summary import Summary
from .wording import NOT_MEASURED, number, percent, size


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One of the four answers: a large figure, what it is, and what it was measured on."""

    label: str
    value: str
    note: str
    state: str = ""
    """ "good", "bad" or "unknown"; the value says it in words too."""


def tiles(summary: Summary, answer: Headline) -> tuple[Tile, ...]:
    """The four answers, each with its conditions or with the reason why it is not measured."""
    return (
        _accuracy_tile(summary, answer),
        _size_tile(summary, answer),
        _speed_tile(summary, answer),
        _budget_tile(summary, answer),
    )


def _accuracy_tile(summary: Summary, answer: Headline) -> Tile:
    if answer.kept is None:
        return Tile(
            label="of the teacher's accuracy",
            value=NOT_MEASURED,
            note=answer.why_not_kept,
            state="unknown",
        )
    accuracy, n = summary.accuracy, summary.held_out_images
    own = accuracy.student if answer.subject == "student" else accuracy.int8[answer.subject]
    return Tile(
        label="of the teacher's accuracy",
        value=percent(answer.kept, 1),
        note=f"top-1 {percent(own, n)} against {percent(accuracy.teacher, n)},"
        f" n = {n:,} held-out images",
    )


def _size_tile(summary: Summary, answer: Headline) -> Tile:
    sizes = compared_bytes(summary, answer.subject)
    if answer.smaller is None or sizes is None:
        return Tile(
            label="smaller", value=NOT_MEASURED, note=answer.why_not_smaller, state="unknown"
        )
    value, label = ratio(answer.smaller, "smaller", "larger").split(" times ")
    return Tile(
        label=label,
        value=f"{value}\u00d7",
        note=f"{sizes.kind} of {size(sizes.own)} against the teacher's {size(sizes.teacher)}"
        " in float32",
        state="bad" if answer.smaller < 1 else "",
    )


def _speed_tile(summary: Summary, answer: Headline) -> Tile:
    key = at(answer.subject, answer.place)
    own, teacher = summary.latency_ms.get(key), summary.latency_ms.get(at("teacher", answer.place))
    if answer.faster is None or own is None or teacher is None:
        return Tile(label="faster", value=NOT_MEASURED, note=answer.why_not_faster, state="unknown")
    timed = summary.measured[key]
    value, label = ratio(answer.faster, "faster", "slower").split(" times ")
    return Tile(
        label=label,
        value=f"{value}\u00d7",
        note=f"p50 {number(own.p50)} ms against {number(teacher.p50)} ms,"
        f" n = {timed.runs:,} runs on {timed.setting}",
        state="bad" if answer.faster < 1 else "",
    )


def _budget_tile(summary: Summary, answer: Headline) -> Tile:
    met = sum(line.met is True for line in summary.budget.values())
    state = {True: "good", False: "bad", None: "unknown"}[answer.budget_met]
    missed = ", ".join(name for name, line in summary.budget.items() if line.met is False)
    if not summary.budget:
        return Tile(label="budget", value="none set", note=answer.why_no_budget, state=state)
    of_all = f"{met} of {len(summary.budget)} limits met"
    value = {True: "met", False: "missed", None: NOT_MEASURED}[answer.budget_met]
    note = f"{of_all}; over: {missed}" if missed else of_all
    return Tile(
        label="budget",
        value=value,
        note=f"{note}; {answer.why_no_budget}".rstrip("; "),
        state=state,
    )
