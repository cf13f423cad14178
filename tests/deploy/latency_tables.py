"""Latency tables whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edgestill.deploy.latency_table import Block, Entry, LatencyTable
from edgestill.deploy.latency_terms import block_terms

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


def entry(
    block: Block, ms: float, *, slower: float = 1.25, energy_mj: float | None = None
) -> Entry:
    """An entry whose fastest of three rounds took `ms`."""
    return Entry(
        block=block,
        model_sha256="ab" * 32,
        macs=1,
        params=1,
        p50_ms=slower * ms,
        p90_ms=2 * slower * ms,
        rounds_p50_ms=[slower * ms, ms, 1.5 * slower * ms],
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
    joules: float | None = None,
) -> LatencyTable:
    """`disturbed`: number of an entry -> the factor by which it was measured; `joules`: mJ/ms."""
    times = {block: true_ms(block) for block in blocks}
    return table(
        entry(block, ms * disturbed(number), energy_mj=None if joules is None else joules * ms)
        for number, (block, ms) in enumerate(times.items())
    )
