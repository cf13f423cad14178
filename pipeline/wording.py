"""Numbers as people read them: three significant digits, a unit, and never a made-up zero."""

from __future__ import annotations

import math

NOT_MEASURED = "not measured"

_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(value: float | None) -> str:
    """A number of things (MACs, parameters) with a decimal prefix.

    >>> count(2_812_416), count(3_000_000), count(640), count(None)
    ('2.81 M', '3 M', '640', 'not measured')
    """
    if value is None:
        return NOT_MEASURED
    rounded = _three_digits(value)
    for step, prefix in _STEPS:
        if abs(rounded) >= step:
            return f"{number(rounded / step)} {prefix}"
    return number(rounded)


def size(value_bytes: float | None) -> str:
    """A number of bytes with a decimal prefix (1 kB = 1000 bytes, as in a budget).

    >>> size(376_616), size(200_000), size(12)
    ('377 kB', '200 kB', '12 bytes')
    """
    text = count(value_bytes)
    if value_bytes is None:
        return text
    return f"{text}B" if text[-1].isalpha() else f"{text} bytes"


def number(value: float | None) -> str:
    """Three significant digits, without an exponent; whole numbers stay whole.

    >>> number(0.41236), number(12.345), number(20), number(1234.5)
    ('0.412', '12.3', '20', '1,230')
    """
    if value is None:
        return NOT_MEASURED
    rounded = _three_digits(value)
    if rounded == int(rounded):
        return f"{int(rounded):,}"
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def percent(share: float | None, images: int | None = None) -> str:
    """A share in percent, with no more digits than `images` counted images can carry.

    >>> percent(0.97222, images=360), percent(0.91234, images=10_000)
    ('97.2 %', '91.23 %')
    """
    if share is None:
        return NOT_MEASURED
    digits = 1 if images is not None and images < 1000 else 2
    return f"{100 * share:.{digits}f} %"


def times(ratio: float) -> str:
    """How many times: two digits are as much as such a ratio can say.

    >>> times(6.137), times(23.9), times(1.04)
    ('6.1', '24', '1.0')
    """
    return f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:,.0f}"


def limit(name: str, value: float | None) -> str:
    """A budget's figure in the unit that its name carries.

    >>> limit("macs", 2_812_416), limit("bytes", 64_000), limit("latency_ms", 1.234)
    ('2.81 M', '64 kB', '1.23 ms')
    """
    if value is None:
        return NOT_MEASURED
    if name.endswith("bytes"):
        return size(value)
    for suffix, unit in (("_ms", "ms"), ("_mj", "mJ")):
        if name.endswith(suffix):
            return f"{number(value)} {unit}"
    return count(value)


def _three_digits(value: float) -> float:
    return float(f"{value:.3g}")
