"""One line of `tegrastats` as numbers: JetPack 4 to 7, with and without root's rights.

A field that cannot be read is absent, never wrong; so is one that stands twice in a line (two
lines torn into one another). What comes back, every key optional:

    "time"         "04-19-2026 01:31:54" (month first), the board's own clock
    "ram"          {"used_mb", "total_mb", "lfb_blocks", "lfb_mb" or "lfb_kb"}; lfb: the largest
                   free blocks, their number and size
    "swap"         {"used_mb", "total_mb", "cached_mb"}
    "iram"         {"used_kb", "total_kb", "lfb_kb"}
    "cpus"         [{"load_percent", "mhz"}, or None for a core that is off]
    "emc"          {"load_percent", "mhz"}, the memory controller
    "gpu"          {"load_percent", "mhz": [one for each cluster]}
    "engines"      {"NVENC": {"load_percent", "mhz"}, "VIC": "off"}, without the suffix _FREQ;
                   "MTS": {"fg_percent", "bg_percent"}
    "celsius"      {"cpu": 52.437}; a sensor that is off (-256C) is absent
    "celsius_peak" {"cpu": 52.968}, from JetPack 7.2 on
    "power_mw"     [{"rail", "now_mw", "mean_mw", "peak_mw"}] in the line's order; the mean is over
                   all the time since tegrastats started, the peak from JetPack 7.2 on. A channel
                   that is not connected (NC) is left out, a name can stand twice, and a rail can
                   read a little below nought.

Formats: NVIDIA's developer guides (TegrastatsUtility), and lines recorded on boards.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Match

from .total_rule import NOT_CONNECTED

LONGEST_LINE = 4096
"""Characters. The longest known line has 700; what is longer than this is not from tegrastats."""


def parse_line(line: str) -> dict[str, Any]:
    """The fields of one line, as the head of this file lists them; empty if there are none.

    >>> parse_line("CPU [5%@1224,off] GR3D_FREQ 9%@[114] GPU@40C GPU 1750/1628")["power_mw"]
    [{'rail': 'GPU', 'now_mw': 1750, 'mean_mw': 1628}]
    """
    fields = _Fields()
    at, end = 0, len(line)
    if end > LONGEST_LINE:
        return {}
    while at < end:
        for pattern, read in _FIELDS:
            found = pattern.match(line, at)
            if found:
                read(fields, found)
                at = found.end()
                break
        at = _WORD.match(line, at).end()  # type: ignore[union-attr]  # it matches anything
    return fields.told()


def rails_mw(fields: dict[str, Any]) -> dict[str, int]:
    """The power now on each rail of a parsed line; without rails whose name stands twice in it."""
    rails = [(each["rail"], each["now_mw"]) for each in fields.get("power_mw", [])]
    names = [name for name, _ in rails]
    return {name: now_mw for name, now_mw in rails if names.count(name) == 1}


class _Fields:
    """What was read so far, and what stood twice."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, ...], Any] = {}
        self._twice: set[tuple[str, ...]] = set()
        self._rails: list[dict[str, Any]] = []

    def put(self, value: Any, *path: str) -> None:
        """Keeps `value` under a key, or under a key within another."""
        if path in self._read:
            self._twice.add(path)
        self._read[path] = value

    def add_rail(self, rail: dict[str, Any]) -> None:
        """Keeps a rail, after those before it."""
        self._rails.append(rail)

    def told(self) -> dict[str, Any]:
        """All of it, nested."""
        told: dict[str, Any] = {}
        for path, value in self._read.items():
            if path not in self._twice:
                part = told
                for key in path[:-1]:
                    part = part.setdefault(key, {})
                part[path[-1]] = value
        return {**told, "power_mw": self._rails} if self._rails else told


_Read = Callable[[_Fields, Match[str]], None]


def _at(*path: str) -> _Read:
    """A reader that keeps all numbers of a field under `path`, and its name where it has one."""

    def read(fields: _Fields, found: Match[str]) -> None:
        name = found.groupdict().get("name")
        fields.put(_numbers(found) or "off", *path, *([name] if name else []))

    return read


def _time(fields: _Fields, found: Match[str]) -> None:
    if found.start() == 0:
        fields.put(found.group(), "time")


def _memory(fields: _Fields, found: Match[str]) -> None:
    memory = _numbers(found)
    used, total = list(memory.values())[:2]
    if used <= total:
        fields.put(memory, found.group("name").lower())


def _cpus(fields: _Fields, found: Match[str]) -> None:
    cores = [_CORE.match(core) for core in found.group("cores").split(",")]
    fields.put([_numbers(core) or None for core in cores if core], "cpus")


def _gpu(fields: _Fields, found: Match[str]) -> None:
    gpu: dict[str, Any] = _numbers(found)
    clocks = found.group("clocks") or found.group("mhz")
    if clocks:
        gpu["mhz"] = [int(clock) for clock in clocks.split(",")]
    fields.put(gpu, "gpu")


def _temperature(fields: _Fields, found: Match[str]) -> None:
    for key in ("celsius", "celsius_peak"):
        text = found.group(key)
        # No sensor of a board means what lies outside; -256 says that it is off.
        if text and -100 < float(text) < 200:
            fields.put(float(text), key, found.group("name"))


def _rail(fields: _Fields, found: Match[str]) -> None:
    if found.group("name") != NOT_CONNECTED:
        fields.add_rail({"rail": found.group("name"), **_numbers(found)})


def _rail_without_unit(fields: _Fields, found: Match[str]) -> None:
    # `RAM 1923/3964MB` that lost its MB looks the same. JetPack 4 has rails behind temperatures.
    if _TEMPERATURE.search(found.string[: found.start()]):
        _rail(fields, found)


def _numbers(found: Match[str]) -> dict[str, int]:
    """The groups that are whole numbers, by the group's name, which is the key to keep it under."""
    groups = found.groupdict().items()
    return {name: int(text) for name, text in groups if text and name not in _TEXTS}


# Plain numbers, of no more digits than the unit can have on a board: two that ran into one another
# ("314,314" without its comma) have more, or a nought in front.
_WHOLE = r"(?:0|[1-9]\d{0,6})"
_MHZ = r"(?:0|[1-9]\d{0,3})"
_PERCENT = r"(?:100|[1-9]?\d)"


def _n(key: str) -> str:
    return rf"(?P<{key}>{_WHOLE})"


def _mw(key: str) -> str:
    return rf"(?P<{key}_mw>0|-?[1-9]\d{{0,5}})"


def _celsius(key: str) -> str:
    return rf"(?P<{key}>-?(?:0|[1-9]\d{{0,2}})(?:\.\d{{1,4}})?)C"


_TEXTS = ("name", "cores", "clocks")
_NAME = r"(?P<name>[A-Za-z][A-Za-z0-9_.+-]{0,40})"
_ENGINE = r"(?P<name>(?:APE|MSENC|NVDEC|NVDLA|NVENC|NVJPG|OFA|PVA|SE|VIC)\d{0,2})(?:_FREQ)?"
_CLOCK = rf"(?P<mhz>{_MHZ})"
_LOAD = rf"(?P<load_percent>{_PERCENT})%"
_LOAD_AND_CLOCK = rf"{_LOAD}(?:@{_CLOCK})?"
_CORE_TEXT = rf"(?:off|{_PERCENT}%(?:@{_MHZ})?)"
_STAMP = r"(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])-\d{4} (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"

# None repeats what repeats itself, so the time for a line grows with its length and no faster.
_SHAPES: tuple[tuple[str, _Read], ...] = (
    (_STAMP, _time),
    (
        rf"(?P<name>RAM) {_n('used_mb')}/{_n('total_mb')}MB"
        rf"(?: \(lfb {_n('lfb_blocks')}x(?:{_n('lfb_mb')}MB|{_n('lfb_kb')}kB)\))?",
        _memory,
    ),
    (
        rf"(?P<name>SWAP) {_n('used_mb')}/{_n('total_mb')}MB(?: \(cached {_n('cached_mb')}MB\))?",
        _memory,
    ),
    (
        rf"(?P<name>IRAM) {_n('used_kb')}/{_n('total_kb')}kB(?: ?\(lfb {_n('lfb_kb')}kB\))?",
        _memory,
    ),
    (rf"CPU \[(?P<cores>{_CORE_TEXT}(?:,{_CORE_TEXT}){{0,255}})\]", _cpus),
    (rf"EMC(?:_FREQ)? {_LOAD_AND_CLOCK}", _at("emc")),
    (
        rf"GR3D(?:_FREQ)? (?=[\d@])(?:{_LOAD})?"
        rf"(?:@(?:\[(?P<clocks>{_MHZ}(?:,{_MHZ}){{0,15}})\]|{_CLOCK}))?",
        _gpu,
    ),
    (rf"{_ENGINE} (?:off|{_LOAD_AND_CLOCK})", _at("engines")),
    (rf"{_ENGINE} @?{_CLOCK}(?!\s+off)", _at("engines")),
    (rf"MTS fg (?P<fg_percent>{_PERCENT})% bg (?P<bg_percent>{_PERCENT})%", _at("engines", "MTS")),
    (rf"{_NAME}@{_celsius('celsius')}(?:/{_celsius('celsius_peak')})?", _temperature),
    (rf"{_NAME} {_mw('now')}mW/{_mw('mean')}mW(?:/{_mw('peak')}mW)?", _rail),
    (rf"{_NAME} {_mw('now')}/{_mw('mean')}", _rail_without_unit),
)
# A field ends where the next one's name begins (or another line, torn into this one), or at a
# bracket that cannot be read; where a blank stands within a number, none of these follows.
_END = rf"(?=\s*$|\s+(?:[A-Za-z(]|{_STAMP}))"
_FIELDS = tuple((re.compile(shape + _END, re.ASCII), read) for shape, read in _SHAPES)
_CORE = re.compile(rf"off|{_LOAD_AND_CLOCK}", re.ASCII)
_TEMPERATURE = re.compile(rf"@{_celsius('celsius')}\s", re.ASCII)
_WORD = re.compile(r"\S*\s*", re.ASCII)
