"""Successive halving: all train a little, the better half trains on, until one is left; no torch.

Source: Jamieson, Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", AISTATS 2016. Each rung is twice as long as the one before it and has half as many
to train, so that all rungs take equally long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .events import JSON

Train = Callable[[int, int], float | None]


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One candidate after one rung."""

    epochs: int
    """Trained so far, all rungs together."""
    error: float | None
    """Share of the validation images told wrong; None: its training diverged."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What became of one candidate."""

    rungs: tuple[Rung, ...]
    won: bool
    why: str

    def told(self) -> dict[str, JSON]:
        """What candidates.json says beside `why`."""
        return {
            "rungs": [{"epochs": rung.epochs, "error": rung.error} for rung in self.rungs],
            "dropped_after_epochs": None if self.won else self.rungs[-1].epochs,
        }


def halve(macs: Sequence[int], first_epochs: int, train: Train) -> list[Course] | None:
    """The course of each candidate, of which one won; None if the training of all diverged.

    macs: what each costs. `train(candidate, rung)`, counted from 0, trains it for
    `epochs_of(first_epochs, rung)` epochs more and gives its validation error, None if that
    diverged. At equal errors the one with fewer MACs stays, then the one named first.
    """
    standing = list(range(len(macs)))
    rungs: list[list[Rung]] = [[] for _ in macs]
    why = [""] * len(macs)
    rung = total = 0
    while len(standing) > 1:
        total += epochs_of(first_epochs, rung)
        errors = {each: train(each, rung) for each in standing}
        for each, error in errors.items():
            rungs[each].append(Rung(epochs=total, error=error))
        sound = {each: error for each, error in errors.items() if error is not None}
        if not sound:
            return None
        ranked = sorted(sound, key=lambda each: (sound[each], macs[each], each))
        kept = ranked[: -(-len(standing) // 2)]
        for each in standing:
            if each not in kept:
                why[each] = _why(errors[each], [sound[other] for other in kept], total)
        if len(kept) == 1:
            why[kept[0]] = _why_it_won(sound, kept[0], total, len(macs))
        standing, rung = sorted(kept), rung + 1
    return [
        Course(rungs=tuple(found), won=each in standing, why=why[each])
        for each, found in enumerate(rungs)
    ]


def epochs_of(first: int, rung: int) -> int:
    """Epochs of one rung, counted from 0, by itself.

    >>> [epochs_of(2, rung) for rung in range(3)]
    [2, 4, 8]
    """
    return first << rung


def cost_in_epochs(count: int, first: int) -> int:
    """Epochs of all candidates together.

    >>> cost_in_epochs(4, 2)
    16
    """
    rung = total = 0
    while count > 1:
        total += count * epochs_of(first, rung)
        count, rung = -(-count // 2), rung + 1
    return total


def _why(error: float | None, kept: Sequence[float], epochs: int) -> str:
    after = f"after {_epochs(epochs)}"
    if error is None:
        return f"its training diverged within {_epochs(epochs)}"
    if error == max(kept):
        return f"{_percent(error)} validation error {after}, as one that stayed, of no more MACs"
    others = "the one that stayed" if len(kept) == 1 else f"the {len(kept)} that stayed"
    most = "" if len(kept) == 1 else " at most"
    return f"{_percent(error)} validation error {after}; {others} had{most} {_percent(max(kept))}"


def _why_it_won(sound: dict[int, float], won: int, epochs: int, count: int) -> str:
    return (
        f"least validation error of {count} tried: {_percent(sound[won])} after {_epochs(epochs)}"
    )


def _epochs(count: int) -> str:
    return f"{count} epoch" + ("s" if count > 1 else "")


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
