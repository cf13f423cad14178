"""What a measurement comes to, for people: one table, then what limits it, then who is faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from .board_facts import machine_of
from .table import figures_table, tables_console
from .wording import NOT_MEASURED, number, percent

if TYPE_CHECKING:
    from rich.console import Console

    from ..deploy.measurement import Flag, Measurement
    from .comparison import Comparison
    from .profile_results import Results

WIDTH = 140
"""In a pipe."""
LAYERS_SHOWN = 10


def profile_table(results: Results) -> None:
    """Print every case's figures, the doubts about them, and the comparisons."""
    console = tables_console(WIDTH)
    heads, body = cells(results)
    console.print(figures_table(heads, body, title=results.profiles[0].target))
    for line in conditions(results):
        console.print(line, style="dim", markup=False)
    for line, grave in doubts(results):
        console.print(line, style="bold red" if grave else "yellow", markup=False)
    for line in verdicts(results.comparisons()):
        console.print(line, markup=False)
    if len(results.profiles) > 1:
        console.print("not interleaved: power modes are set one after another", style="dim")
    for measured in results.measurements:
        _layers(console, measured)


def cells(results: Results) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows of the table; a column that no case has a figure for is left out."""
    measured = results.measurements
    accuracy = results.accuracy * len(results.profiles)
    kept = [each for each in COLUMNS if any(each[1](one) is not None for one in measured)]
    heads = ["", *(head for head, _ in kept)]
    body = [[_name(one), *(value(one) or NOT_MEASURED for _, value in kept)] for one in measured]
    if any(top1 is not None for top1 in accuracy):
        heads.append("top-1")
        body = [[*row, percent(top1)] for row, top1 in zip(body, accuracy, strict=True)]
    return tuple(heads), [tuple(row) for row in body]


def conditions(results: Results) -> Iterator[str]:
    """Where, in what and how often it was measured; how energy was read, or why it was not."""
    for profile in results.profiles:
        first = profile.measurements[0]
        runs = [each.runs for each in profile.measurements]
        rounds = len(first.slices)
        parts = [machine_of(profile.board)]
        parts += [first.power_mode] if first.power_mode else []
        parts += [f"{first.engine} {first.engine_version}, {first.provider}"]
        parts += [f"{first.threads} thread{'s' * (first.threads > 1)}"] if first.threads else []
        n = f"n = {_range(runs)} runs" + " a case" * (len(runs) > 1)
        turns = " by turns" * (len(runs) > 1)
        parts += [f"{n} in {rounds} rounds{turns}" if rounds > 1 else n]
        yield "; ".join(parts)
    windows = [one for each in results.measurements for one in each.slices]
    if earlier := sum(one.earlier for one in windows):
        told = f"{earlier} of {len(windows)} windows were measured by an earlier call"
        yield f"{told} that was cut off"
    for source, group in _by(results.measurements, lambda each: each.energy_source):
        if all(each.energy_mj is None for each in group):
            yield f"energy {NOT_MEASURED}: {source}"
        else:
            rule = group[0].energy_rule
            yield f"energy: {source}" + (f"; total: {rule}" if rule else "")
            if any(each.energy_mj is None for each in group):
                yield f"energy {NOT_MEASURED} for: {_names(group, lambda e: e.energy_mj is None)}"


def doubts(results: Results) -> Iterator[tuple[str, bool]]:
    """(line, grave) for every kind of flag, with its remedy and whom it concerns."""
    flags: dict[Flag, list[Measurement]] = {}
    for measured in results.measurements:
        for flag in measured.flags:
            flags.setdefault(flag, []).append(measured)
    lines: dict[tuple[str, bool, str | None], list[str]] = {}
    for flag, concerned in flags.items():
        told = lines.setdefault((flag.kind, flag.grave, flag.remedy), [])
        told.append(_whom(concerned, results.measurements) + flag.text)
    for (_, grave, remedy), told in lines.items():
        start = "not to be trusted" if grave else "note"
        to_do = f"; to do: {remedy}" if remedy else ""
        yield f"{start}: {'; '.join(told)}{to_do}", grave


def verdicts(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """One line for each pair, latency before energy."""

    def pair(each: Comparison) -> tuple[str, str, str | None]:
        return each.subject, each.baseline, each.power_mode

    for (subject, baseline, mode), group in groupby(comparisons, pair):
        where = f" ({mode})" if mode else ""
        pairs = list(group)
        bases = dict.fromkeys(each.basis for each in pairs)
        told = [each.finding if len(bases) == 1 else each.verdict for each in pairs]
        if len(bases) == 1:
            told.extend(bases)
        yield f"{subject} against {baseline}{where}: {'; '.join(told)}"


def _whom(concerned: Sequence[Measurement], everyone: Sequence[Measurement]) -> str:
    """ "25W: ", "model: ", or nothing where a flag concerns everyone."""
    if len(concerned) == len(everyone):
        return ""
    modes = dict.fromkeys(each.power_mode for each in concerned)
    of_modes = [each for each in everyone if each.power_mode in modes]
    whole_modes = [str(mode) for mode in modes] if of_modes == [*concerned] else []
    return f"{', '.join(whole_modes or [each.label for each in concerned])}: "


def _name(measured: Measurement) -> str:
    return measured.label.removesuffix(f" batch {measured.batch}")  # it has a column


def _energy(measured: Measurement) -> str | None:
    if measured.energy_mj is None:
        return None
    if measured.energy_bound_mj is None:
        return number(measured.energy_mj)
    return f"{number(measured.energy_mj)} \u00b1 {float(f'{measured.energy_bound_mj:.2g}'):g}"


def _scaled(value: float | None, factor: float) -> str | None:
    return None if value is None else number(factor * value)


def _per_joule(measured: Measurement) -> str | None:
    return number(1000 * measured.batch / measured.energy_mj) if measured.energy_mj else None


COLUMNS: tuple[tuple[str, Callable[[Measurement], str | None]], ...] = (
    ("mode", lambda each: each.power_mode),
    ("batch", lambda each: str(each.batch)),
    ("p50 ms", lambda each: number(each.latency_ms["p50"])),
    ("p90 ms", lambda each: number(each.latency_ms["p90"])),
    ("p99 ms", lambda each: number(each.latency_ms["p99"])),
    ("device\np50 ms", lambda each: number(each.device_ms["p50"]) if each.device_ms else None),
    ("images/s", lambda each: number(each.throughput_per_s)),
    ("energy mJ\nan inference", _energy),
    ("images/J", _per_joule),
    ("W", lambda each: _scaled(each.power_mw, 0.001)),
    ("\u00b0C", lambda each: None if each.celsius is None else f"{each.celsius:.0f}"),
)
"""Head and cell of each column but the first and top-1."""


def _layers(console: Console, measured: Measurement) -> None:
    if not measured.layers:
        return
    total = sum(layer["ms"] for layer in measured.layers) or 1.0
    dearest = sorted(measured.layers, key=lambda layer: -float(layer["ms"]))[:LAYERS_SHOWN]
    body: list[tuple[str, ...]] = [
        (str(layer["name"]), number(layer["ms"]), percent(layer["ms"] / total, 1))
        for layer in dearest
    ]
    told = f"{measured.label}: the dearest {len(dearest)} of {len(measured.layers)} layers"
    console.print(told, markup=False)  # a title would be folded to the table's width
    console.print(figures_table(("layer", "ms", "share"), body))


def _by(
    measured: Sequence[Measurement], key: Callable[[Measurement], str]
) -> Iterator[tuple[str, list[Measurement]]]:
    for value in dict.fromkeys(key(each) for each in measured):
        yield value, [each for each in measured if key(each) == value]


def _names(measured: Sequence[Measurement], wanted: Callable[[Measurement], bool]) -> str:
    return ", ".join(dict.fromkeys(each.label for each in measured if wanted(each)))


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
