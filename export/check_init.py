"""A contract for a known-good model: what it shows, written down as limits with their room."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..models.errors import GateFailed
from ..models.plain_text import printable
from .check_against import ROUNDING
from .check_report import CheckReport, Line
from .contract import Contract, ParityLimits

ROOM = 2.0
"""Another build, or other samples, may be so much further from the reference than this one."""
MEAN_ROOM = 1.3
"""The same for the mean difference: five calibrations of a network differed by 12 % at most."""
SIZE_ROOM = 1.02
"""Another exporter's file may be so much larger, and by NAMES_BYTES."""
NAMES_BYTES = 65_536
"""What names, metadata and stack traces take."""
PEAK_ROOM = 2.0
"""Exporters write operators in other orders, and leave others to be fused."""
COST_ROOM = 1.01
"""What exporters leave over, such as a scale or a shape kept as a constant."""
UNMEASURED_INT8 = 0.1
"""For a file in 8 bits that is its own reference, where nothing is measured: a guess, and the
contract says so. Give the float file with --reference for a limit that was measured."""
# Good builds of one float32 network, by other exporters, opsets, folding and threads, differ by
# 5e-6 of the largest element, an approximated GELU by 1e-4.
FLOORS = {**ROUNDING, "float32": 2e-5}
HARDLY = 0.9
"""Below this cosine of the least similar sample, 8 bits have changed what the network says."""
SWITCHES = ("finite", "deterministic", "batch_invariant", "single_file")
EVERYTHING = 10**15

MEASURING = Contract(
    parity=ParityLimits(
        max_abs=EVERYTHING,
        mean_abs=EVERYTHING,
        relative=EVERYTHING,
        shift=EVERYTHING,
        cosine_min=-1,
        top1_agreement_min=0,
        equal_min=0,
    ),
    int8_fraction=0.0,
    float_islands_max=EVERYTHING,
    qdq_left_max=EVERYTHING,
    weights="per-tensor",
    zero_channels_max=EVERYTHING,
    biased_layers_min=0,
    max_bytes=EVERYTHING,
    max_parameters=EVERYTHING,
    max_macs=EVERYTHING,
    max_peak_activation_bytes=EVERYTHING,
    top1_min=0.0,
    dynamic_batch=True,
)
"""Limits that everything keeps, so that every line tells its figures."""


def measuring(contract: Contract) -> Contract:
    """MEASURING with what `contract` says of material: reference, data, target, sizes."""
    kept = ("target", "reference", "data", "sizes", "opset_max", "ir_max")
    return MEASURING.model_copy(update={name: getattr(contract, name) for name in kept})


def contract_text(report: CheckReport, *, own_reference: bool, paths: Mapping[str, str]) -> str:
    """The TOML of a contract that the model of `report`, made with `measuring`, keeps to.

    `own_reference`: the model is compared with itself, so no distance was measured. `paths` are
    "model", "reference" and "data", as they are to stand in the file. Raises `GateFailed` if the
    model breaks in a way that no contract can allow.
    """
    lines = {line.name: line for line in report.lines}
    broken = [
        f"{name}: {line.why or line.found}"
        for name, line in lines.items()
        if line.verdict in ("fail", "error") and name not in (*SWITCHES, "dynamic_batch")
    ]
    if broken:
        raise GateFailed(f"{report.model} is not known to be good: {'; '.join(broken)}")
    parts = [
        _head(report),
        "[check]",
        *(f"{name} = {_quoted(path)}" for name, path in paths.items()),
        *_of_file(report, lines),
        *_of_int8(report, lines),
        *_of_cost(lines),
        *_switches(lines),
        *_of_accuracy(lines),
        *_sizes(report),
        *_of_parity(report, lines, own_reference),
        *_ports("inputs", report.facts["inputs"]),
        *_ports("outputs", report.facts["outputs"]),
        LATENCY,
    ]
    text = "\n".join(parts) + "\n"
    try:
        text.encode()
        Contract.model_validate(tomllib.loads(text)["check"])
    except (tomllib.TOMLDecodeError, ValidationError, UnicodeError) as error:
        why = printable(" ".join(str(error).split()))[:300]
        raise GateFailed(f"{report.model}: no contract can be written of it: {why}") from error
    return text


def _head(report: CheckReport) -> str:
    tools = ", ".join(f"{name} {number}" for name, number in report.tools.items())
    # The inputs' names are the file's: a line end in one must not end the comment.
    name, inputs = printable(Path(report.model).name), printable(report.inputs)
    return (
        f"# What {name} (sha256 {report.sha256[:12]}) was found to keep to, by\n"
        f"# edgestill check --init with {tools}; {inputs}.\n"
        "# Every key may be changed or taken out; a key that is missing is not checked.\n"
        f"#     edgestill check MODEL --contract THIS\n"
    )


def _of_file(report: CheckReport, lines: Mapping[str, Line]) -> Iterator[str]:
    if report.target is not None:
        yield f'target = "{report.target}"'
    for name, what in (("opset_max", "opset"), ("ir_max", "IR version")):
        ceiling = lines[name]
        source = ceiling.expected.partition("(")[2].rstrip(")")
        told = f"found {what} {_whole(ceiling, 'version')}; the limit is the {source}"
        yield f"{name} = {_whole(ceiling, 'limit')}  # {told}"
    yield f"domains = [{', '.join(map(_quoted, report.facts['domains']))}]"
    if (line := _measured(lines, "zero_channels_max")) is not None:
        yield f"zero_channels_max = {_whole(line, 'zero_channels')}"
    if (line := _measured(lines, "biased_layers_min")) is not None:
        found = _whole(line, "biased_layers")
        yield f"biased_layers_min = {found}  # of {_whole(line, 'total')}"
    size = _whole(lines["max_bytes"], "bytes")
    yield f"max_bytes = {math.ceil(size * SIZE_ROOM) + NAMES_BYTES}  # found {size:,}"


def _of_int8(report: CheckReport, lines: Mapping[str, Line]) -> Iterator[str]:
    if report.facts["numbers"] != "INT8":
        return
    if (line := _measured(lines, "int8_fraction")) is not None and line.figures["total"]:
        share = math.floor(1000 * line.figures["int8"] / line.figures["total"]) / 1000
        yield f"int8_fraction = {share}  # found {line.found}"
    for name, figure in (("float_islands_max", "float_islands"), ("qdq_left_max", "qdq_left")):
        if (line := _measured(lines, name)) is not None:
            yield f"{name} = {_whole(line, figure)}"
    if (line := _measured(lines, "weights")) is not None:
        kind = "per-tensor" if line.figures["per_tensor"] else "per-channel"
        yield f'weights = "{kind}"  # found {line.found}'


def _of_cost(lines: Mapping[str, Line]) -> Iterator[str]:
    for name, figure, room in (
        ("max_parameters", "parameters", COST_ROOM),
        ("max_macs", "macs", COST_ROOM),
        ("max_peak_activation_bytes", "bytes", PEAK_ROOM),
    ):
        if (line := _measured(lines, name)) is not None and line.figures[figure]:
            found = _whole(line, figure)
            yield f"{name} = {math.ceil(found * room)}  # found {found:,}"


def _switches(lines: Mapping[str, Line]) -> Iterator[str]:
    if lines["dynamic_batch"].verdict == "pass":
        yield "dynamic_batch = true"
    for name in SWITCHES:
        line = lines.get(name)
        if line is not None and line.verdict in ("fail", "error"):
            why = printable(line.why or line.found)
            yield f"{name} = false  # the model does not keep to it: {why}"
        else:
            yield f"{name} = true"


def _of_accuracy(lines: Mapping[str, Line]) -> Iterator[str]:
    if (line := _measured(lines, "top1_min")) is not None:
        found = float(line.figures["top1"])
        yield f"top1_min = {max(0.0, math.floor(1000 * found - 10) / 1000)}  # found {found:.4f}"
    if (line := lines.get("top1_drop")) is not None and "drop" in line.figures:
        found = float(line.figures["drop"])
        yield f"top1_drop = {max(0.01, math.ceil(1000 * found + 5) / 1000)}  # found {found:+.4f}"


def _sizes(report: CheckReport) -> Iterator[str]:
    """The sizes that free axes took."""
    batch = report.facts["batch"]
    sizes: dict[str, int] = {}
    for port in report.facts["inputs"]:
        axes = port["shape"] if batch is None else port["shape"][1:]
        for axis, size in zip(axes, report.facts["samples"][port["name"]], strict=True):
            if isinstance(axis, str):
                sizes[axis] = size
    if sizes:
        told = ", ".join(f"{_quoted(axis)} = {size}" for axis, size in sizes.items())
        yield f"sizes = {{ {told} }}  # what free axes are in the check"


def _of_parity(
    report: CheckReport, lines: Mapping[str, Line], own_reference: bool
) -> Iterator[str]:
    figures = {
        name.removeprefix("parity."): line
        for name in lines
        if name.startswith("parity.") and (line := _measured(lines, name)) is not None
    }
    if not figures:
        return
    yield "\n[check.parity]  # the distance from the reference; every limit holds for every output"
    numbers = report.facts["numbers"]
    floor = FLOORS.get(numbers, 0.0)
    if (line := figures.get("relative")) is not None:
        found = float(line.figures["relative"])
        if own_reference and numbers == "INT8":
            yield f"relative = {UNMEASURED_INT8}  # a guess: the model is its own reference"
        else:
            told = f"found {found:.3g}; {numbers} rounding explains {floor:g}" * bool(floor)
            limit = _up(max(ROOM * found, floor))
            yield f"relative = {limit:g}  # {told or f'found {found:.3g}'}"
    if own_reference:
        return
    if (line := figures.get("cosine_min")) is not None and line.figures["cosine"] < HARDLY:
        yield "# CAUTION: hardly the reference's outputs; is this file really known to be good?"
    if numbers == "INT8":
        for name, room in (("mean_abs", MEAN_ROOM), ("shift", ROOM)):
            if (line := figures.get(name)) is not None:
                found = float(line.figures[name])
                yield f"{name} = {_up(room * found):g}  # found {found:.3g}"
        for name, figure in (("cosine_min", "cosine"), ("top1_agreement_min", "top1_agreement")):
            if (line := figures.get(name)) is not None:
                found = float(line.figures[figure])
                # Two samples of few may lie between two classes.
                spared = 2 / line.figures["rows"] if figure == "top1_agreement" else 1e-6
                least = math.floor(1e6 * (1 - ROOM * (1 - found) - spared)) / 1e6
                yield f"{name} = {max(least, 0.0):g}  # found {found:.6g}"
    if (line := figures.get("equal_min")) is not None:
        found = float(line.figures["equal"])
        least = max(0.0, round(1 - ROOM * (1 - found) - 0.02, 4))
        yield f"equal_min = {least:g}  # found {found:.4g}"


def _ports(side: str, ports: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for port in ports:
        axes = ["?" if axis is None else axis for axis in port["shape"]]
        shape = ", ".join(_quoted(axis) if isinstance(axis, str) else str(axis) for axis in axes)
        yield f"\n[check.{side}.{_quoted(port['name'])}]"
        yield f'dtype = "{port["dtype"]}"\nshape = [{shape}]'


LATENCY = """
# No slower than a model that is shipped; both are timed in turns on the machine of the check.
# [check.latency]
# baseline = "shipped.onnx"
# max_ratio = 1.05"""


def _quoted(text: str) -> str:
    """`text` as a string of TOML, which is JSON's but for DEL and surrogates.

    >>> print(_quoted('a"\\x1b\\x7f😀'))
    "a\\"\\u001b\\U0000007f😀"
    """
    written = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in written)


def _measured(lines: Mapping[str, Line], name: str) -> Line | None:
    line = lines.get(name)
    return line if line is not None and line.verdict == "pass" and line.figures else None


def _whole(line: Line, figure: str) -> int:
    return int(line.figures[figure])


def _up(value: float) -> float:
    """`value` rounded up to two digits.

    >>> _up(0.01234), _up(0.0)
    (0.013, 0.0)
    """
    if not value:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.12g}")
