"""What a latency table covers, and in which ways layers lie outside of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from .latency_layers import Shape, TimedLayer, Whole, layers_of

Span: TypeAlias = tuple[int, int]


class Covered:
    """The least and the most of every measure, for each group of layers."""

    def __init__(self, blocks: Iterable[Shape]) -> None:
        self._spans: dict[str, dict[str, Span]] = {}
        for layer in (layer for block in blocks for layer in layers_of(block)):
            known = self._spans.setdefault(layer.group, {})
            for called, (least, most) in _measures(layer).items():
                low, high = known.get(called, (least, most))
                known[called] = (min(low, least), max(high, most))

    @property
    def groups(self) -> frozenset[str]:
        """The groups of which anything was measured."""
        return frozenset(self._spans)

    def outside(self, layers: Sequence[TimedLayer]) -> list[str]:
        """One line for each way in which layers, of which there are any, lie outside."""
        present = [layer for layer in layers if most(layer.count)]
        return list(dict.fromkeys(line for layer in present for line in self._lines(layer)))

    def _lines(self, layer: TimedLayer) -> Iterable[str]:
        spans = self._spans.get(layer.group)
        if spans is None:
            yield f"no {layer.kind} was measured"
            return
        for called, (least, most) in _measures(layer).items():
            low, high = spans[called]
            outside = most if most > high else least
            if outside < low or outside > high:
                measured = f"{low} to {high} were" if low < high else f"{low} was"
                yield f"{layer.kind} {called} {outside}: {measured} measured"


def least(number: Whole) -> int:
    """Of a column; a number itself."""
    return int(number if isinstance(number, int) else number.min())


def most(number: Whole) -> int:
    """Of a column; a number itself."""
    return int(number if isinstance(number, int) else number.max())


def _measures(layer: TimedLayer) -> dict[str, Span]:
    """What a layer's numbers are called -> the least and the most of a column."""
    numbers = {
        "from channels": layer.in_channels,
        "to channels": layer.out_channels,
        "at size": layer.size,
        "with stride": layer.stride,
        "with window": layer.kernel,
    }
    if layer.group in ("depthwise", "global_pool", "max_pool"):  # which give what they take
        del numbers["to channels"]
    return {called: (least(number), most(number)) for called, number in numbers.items()}
