"""Latency tables whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from edgestill.deploy.latency_layers import layers_of
from edgestill.deploy.latency_table import Block, Entry, LatencyTable
from edgestill.deploy.latency_terms import block_terms, summed

TRUE_NS: dict[str, float] = {
    "overhead": 6000,
    "in.each": 1000,
    "in.reads": 0.2,
    "out.writes": 0.3,
    "identity.elements": 0.1,
    "image.each": 2000,
    "image.macs_out_padded_16": 0.015,
    "conv.each": 1000,
    "conv.macs_padded_16": 0.015,
    "conv.weights": 0.05,
    "conv1x1.each": 500,
    "conv1x1.macs_padded_8": 0.012,
    "conv1x1.reads": 0.1,
    "depthwise.each": 900,
    "depthwise.writes_padded_16": 0.3,
    "max_pool.writes": 0.5,
    "global_pool.reads": 0.2,
    "linear.each": 600,
    "linear.weights": 0.06,
    "add.writes": 0.4,
}


CHAINS = tuple(
    (
        Block(kind="conv3x3", in_channels=3, out_channels=w, size=32, stride=1, count=1),
        Block(kind="conv3x3_add", in_channels=w, out_channels=w, size=32, stride=1, count=n),
        Block(kind="global_pool", in_channels=w, out_channels=w, size=32, stride=1, count=1),
        Block(kind="linear", in_channels=w, out_channels=10, size=1, stride=1, count=1),
    )
    for w, n in ((16, 1), (32, 2), (48, 3), (64, 4))
)
SPEEDS = (1.0, 1.6, 1.0)
"""By how much slower than otherwise the machine was in each round."""
YARDSTICK_MS = 0.05


def entry(
    *blocks: Block,
    ms: float,
    speeds: Sequence[float] = SPEEDS,
    energy_mj: float | None = None,
    yardstick: bool = True,
) -> Entry:
    """An entry that took `ms` times the speed of each round, as the yardstick beside it."""
    rounds = [ms * speed for speed in speeds]
    beside = [(YARDSTICK_MS * speed, YARDSTICK_MS * speed) for speed in speeds]
    return Entry(
        blocks=list(blocks),
        model_sha256="ab" * 32,
        macs=1,
        params=1,
        p50_ms=sorted(rounds)[len(rounds) // 2],
        p90_ms=max(rounds),
        rounds_p50_ms=rounds,
        yardstick_ms=beside if yardstick else None,
        device_p50_ms=None,
        runs=1000,
        energy_mj=energy_mj,
        energy_bound_mj=None,
        flags=[],
    )


def table(entries: Iterable[Entry]) -> LatencyTable:
    return LatencyTable(
        device="a board",
        fingerprint="0123456789abcdef",
        target="local",
        engine="onnxruntime",
        engine_version="1.22.0",
        provider="CPUExecutionProvider",
        precision="fp32",
        dialect=None,
        power_mode=None,
        clocks=[],
        threads=1,
        batch=1,
        yardstick_sha256="cd" * 32,
        software={},
        energy_source="none",
        created="2026-01-02T03:04:05+00:00",
        entries=list(entries),
    )


def true_ms(block: Block) -> float:
    """What the block's file takes in truth."""
    return 1e-6 * sum(TRUE_NS.get(name, 0) * much for name, much in block_terms(block).items())


def true_table(
    blocks: Iterable[Block],
    *,
    disturbed: Callable[[int], float] = lambda number: 1.0,
    off: Sequence[float] = (1.0,) * len(CHAINS),
    joules: float | None = None,
    speeds: Sequence[float] = SPEEDS,
) -> LatencyTable:
    """With CHAINS as well. `disturbed`: number of a block -> the factor by which it was measured;
    `off`: the same of each chain; `joules`: mJ/ms.

    The yardstick takes YARDSTICK_MS half of the time: all true times are at that speed.
    """
    times: dict[tuple[Block, ...], float] = {(block,): true_ms(block) for block in blocks}
    factors = [disturbed(number) for number in range(len(times))]
    times |= {chain: 1e-6 * network_ns(chain) for chain in CHAINS}
    return table(
        entry(
            *inside,
            ms=ms * factor,
            speeds=speeds,
            energy_mj=None if joules is None else joules * ms,
        )
        for (inside, ms), factor in zip(times.items(), [*factors, *off], strict=True)
    )


def network_ns(chain: Iterable[Block]) -> float:
    """What a chain takes in truth: its layers', and the runtime's own."""
    layers = [layer for block in chain for layer in layers_of(block)]
    return summed(TRUE_NS, layers)  # type: ignore[no-any-return]
