"""The answer of a run in one sentence: accuracy kept, times smaller, times faster, budget met."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .summary import Summary
from .wording import NOT_MEASURED, number, percent, times

_Z95 = 1.959964  # two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The four answers. `None` means not measured; the matching `why_...` then gives the reason."""

    subject: str
    """The file these figures are about: "student" or an INT8 target."""
    kept: float | None
    """Its top-1 as a share of the teacher's."""
    smaller: float | None
    """The teacher's float32 bytes over its own: of files where both are known, else of weights."""
    faster: float | None
    """The teacher's median latency over its own, timed under the same conditions."""
    place: str = ""
    """The device of `faster`, where it is not the first one of the recipe."""
    budget_met: bool | None
    why_not_kept: str = ""
    why_not_smaller: str = ""
    why_not_faster: str = ""
    why_no_budget: str = ""
    caution: str = ""
    """What the four answers alone would hide; empty if nothing."""

    @property
    def name(self) -> str:
        return "FP32 student" if self.subject == "student" else f"INT8 student ({self.subject})"

    @property
    def sentence(self) -> str:
        """What was reached, in one sentence; what was not measured is left out, not guessed."""
        sizes = []
        if self.smaller is not None:
            sizes.append(ratio(self.smaller, "smaller", "larger"))
        if self.faster is not None:
            where = f" on {self.place}" if self.place else ""
            sizes.append(ratio(self.faster, "faster", "slower") + where)
        parts = []
        if self.kept is not None:
            parts.append(f"keeps {percent(self.kept, 1)} of the teacher's accuracy")
        if sizes:
            parts.append(f"is {' and '.join(sizes)}")
        if self.budget_met is not None:
            parts.append("meets its budget" if self.budget_met else "misses its budget")
        if not parts:
            return f"The {self.name} was {NOT_MEASURED}."
        *first, last = parts
        word = "but" if self.budget_met is False else "and"
        return f"The {self.name} {', '.join(first)}{f', {word} ' if first else ''}{last}."


def headline(summary: Summary) -> Headline:
    """The answer for the INT8 file that was measured best, else for the student in FP32.

    Among INT8 files: one with an accuracy and a latency that compares with the teacher's before
    one without, then the fastest, then the first.
    """
    subject = _subject(summary)
    accuracy = summary.accuracy
    top1 = accuracy.student if subject == "student" else accuracy.int8[subject]
    top1_at = f"accuracy.{subject}" if subject == "student" else f"accuracy.int8.{subject}"
    sizes = compared_bytes(summary, subject)
    met = [line.met for line in summary.budget.values()]
    unknown = [name for name, line in summary.budget.items() if line.met is None]
    if not met:
        why_no_budget = "the recipe sets no budget"
    else:
        why_no_budget = f"not measured: {', '.join(unknown)}" if unknown else ""
    return Headline(
        subject=subject,
        kept=top1 / accuracy.teacher if accuracy.teacher and top1 is not None else None,
        smaller=None if sizes is None else sizes.teacher / sizes.own,
        faster=_faster(summary, subject),
        place=place_of(summary, subject) or "",
        budget_met=False if False in met else None if unknown or not met else True,
        why_not_kept=summary.why_null(top1_at if top1 is None else "accuracy.teacher"),
        why_not_smaller=summary.why_null("cost_teacher.bytes_fp32"),
        why_not_faster=_why_not_faster(summary, subject),
        why_no_budget=why_no_budget,
        caution=" ".join(filter(None, (_unsteady(summary), _slower(summary, subject)))),
    )


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes of the same thing, `kind`, for the teacher and for the file compared with it."""

    kind: Literal["file", "weights"]
    own: int
    teacher: int


def compared_bytes(summary: Summary, name: str) -> Sizes | None:
    """What `name` and the teacher take in bytes: the ONNX files themselves, else the weights."""
    own, teacher = summary.file_bytes.get(name), summary.file_bytes.get("teacher")
    if own and teacher:
        return Sizes(kind="file", own=own, teacher=teacher)
    own = summary.cost.bytes_fp32 if name == "student" else summary.cost.bytes_int8
    teacher = summary.cost_teacher.bytes_fp32
    return Sizes(kind="weights", own=own, teacher=teacher) if own and teacher else None


def ratio(value: float, more: str, less: str) -> str:
    """ "6.1 times smaller", or the honest opposite.

    >>> ratio(6.137, "smaller", "larger"), ratio(0.8, "faster", "slower")
    ('6.1 times smaller', '1.2 times slower')
    """
    return f"{times(value)} times {more}" if value >= 1 else f"{times(1 / value)} times {less}"


def interval95(share: float, images: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share counted on `images` images (Wilson 1927, JASA 22).

    >>> low, high = interval95(0.97, 360)
    >>> round(low, 3), round(high, 3)
    (0.947, 0.983)
    """
    square = _Z95**2 / images
    middle = (share + square / 2) / (1 + square)
    half = _Z95 * math.sqrt(share * (1 - share) / images + square / (4 * images)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def _subject(summary: Summary) -> str:
    counted = [name for name, top1 in summary.accuracy.int8.items() if top1 is not None]

    def merit(name: str) -> tuple[bool, float]:
        faster = _faster(summary, name)
        return faster is None, -(faster or 0)

    return min(counted, key=merit, default="student")


def place_of(summary: Summary, name: str) -> str | None:
    """The first device that timed both `name` and the teacher in one setting, None if none did.

    Empty for the first device of the recipe.
    """
    for place in ("", *summary.places):
        if summary.comparable(at(name, place), at("teacher", place)):
            return place
    return None


def at(name: str, place: str) -> str:
    """What the figures of file `name` on a device are called in the summary."""
    return f"{name}@{place}" if place else name


def _faster(summary: Summary, name: str) -> float | None:
    place = place_of(summary, name)
    if place is None:
        return None
    teacher, own = summary.latency_ms[at("teacher", place)], summary.latency_ms[at(name, place)]
    return teacher.p50 / own.p50 if teacher and own else None


def _unsteady(summary: Summary) -> str:
    if not summary.unsteady:
        return ""
    spread = max(summary.unsteady.values())
    return f"The times are unsteady (spread up to {100 * spread:.0f} %): read ratios with care."


def _slower(summary: Summary, name: str) -> str:
    """INT8 does not pay everywhere: where the same student is faster in float32, say so."""
    own_key, student_key = (at(each, place_of(summary, name) or "") for each in (name, "student"))
    own, student = summary.latency_ms.get(own_key), summary.latency_ms.get(student_key)
    if name == "student" or own is None or student is None or student.p50 >= own.p50:
        return ""
    if not summary.comparable(own_key, student_key):
        return ""
    return (
        f"Here the student is faster in float32 than in INT8: p50 {number(student.p50)} ms against"
        f" {number(own.p50)} ms ({summary.measured[own_key].setting})."
    )


def _why_not_faster(summary: Summary, name: str) -> str:
    for file in ("teacher", name):
        if summary.latency_ms.get(file) is None:
            return summary.why_null(f"latency_ms.{file}")
    return f"teacher and {name} were timed under different conditions"
