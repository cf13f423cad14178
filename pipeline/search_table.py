"""What a search found, as a table for people."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..models.families import describe
from .predicting import Predictor
from .search_options import in_words
from .table import figures_table, tables_console
from .wording import count, size

if TYPE_CHECKING:
    from ..models.search import Candidate
    from .search_command import Answer

FIGURES = ("MACs", "params", "INT8 weights", "live at once")
WORDS = {"latency_ms": "latency", "energy_mj": "energy"}


def search_table(answers: Sequence[Answer], predictor: Predictor | None) -> None:
    """Print a row for each network found, and what a reader must know of them below."""
    console = tables_console()
    common, differs = _common([each.limits for each in answers])
    families = len({each.family for each in answers}) > 1
    predicted = list(predictor.functions()) if predictor else []
    begins = (*(("within",) if differs else ()), *(("family",) if families else ()))
    heads = (*begins, "network", *FIGURES, *(_head(name, predictor) for name in predicted))
    body: list[tuple[str, ...]] = []
    beyond: dict[str, None] = {}
    for answer in answers:
        first = (
            *((in_words(dict(answer.limits.items() - common.items())),) if differs else ()),
            *((answer.family,) if families else ()),
        )
        for each in answer.found.best if answer.found else ():
            told = predictor.told(each.spec.layers(each.spec)) if predictor else {}
            beyond |= dict.fromkeys(_beyond(told))
            body.append((*first, *_figures(each), *(_said(told[name]) for name in predicted)))
        if answer.found is None:
            body.append((*first, "none fits", *["-"] * (len(FIGURES) + len(predicted))))
    title = f"within {in_words(common)}" if common else ""
    console.print(figures_table(heads, body, title=title, names=len(begins) + 1))
    for line in _notes(answers, predictor, beyond):
        console.print(line, markup=False, soft_wrap=True)


def _common(limits: Sequence[Mapping[str, float]]) -> tuple[dict[str, float], bool]:
    """The limits that all budgets share, and whether they have others."""
    first, *others = limits
    common = {
        name: value for name, value in first.items() if all(each[name] == value for each in others)
    }
    return common, len(common) < len(first)


def _figures(each: Candidate) -> tuple[str, ...]:
    cost = each.cost
    return (
        describe(each.spec),
        count(cost.macs),
        count(cost.params),
        size(cost.bytes_int8),
        size(cost.peak_activation_bytes),
    )


def _head(name: str, predictor: Predictor | None) -> str:
    how = "estimated" if predictor and predictor.estimated else "predicted"
    return f"{WORDS[name]}, {how}"


def _said(told: Any) -> str:
    """ "2.1 ms, x/÷ 1.6 *"; the star: beyond what was measured. How it was found says the head."""
    text: str = told["text"].rpartition(", ")[0]
    return text + " *" * bool(told["extrapolates"])


def _beyond(told: Mapping[str, Any]) -> Iterator[str]:
    """What was not measured, without the figure of each network by itself."""
    for each in told.values():
        for text in each["extrapolates"] if each else ():
            yield text.partition(" ")[2] if " MACs" in text else text


def _notes(
    answers: Sequence[Answer], predictor: Predictor | None, beyond: Mapping[str, None]
) -> Iterator[str]:
    found = {each.family: each.found.weighed for each in answers if each.found}
    yield "weighed: " + ", ".join(f"{weighed:,} {name}" for name, weighed in found.items())
    if predictor is not None:
        yield f"on {predictor.name}, not measured: {predictor.source}"
    if beyond:
        yield f"*: beyond what was measured, the range may not hold: {'; '.join(beyond)}"
    for each in answers:
        if each.found is None:
            yield f"none: {each.why_none}"
    changes = next(each.changes for each in answers if each.found)
    words = (f"--set {shlex.quote(f'{key}={_toml(value)}')}" for key, value in changes.items())
    yield f"to train the first: edgestill run RECIPE {' '.join(words)}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {json.dumps(each)}' for key, each in value.items())}}}"
    return str(value)
