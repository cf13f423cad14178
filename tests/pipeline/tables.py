"""A latency table as a device would give it, whose times follow from what its blocks do."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

from edgestill.deploy.latency_fit import with_fit
from edgestill.deploy.latency_layers import TimedLayer, layers_of
from edgestill.deploy.latency_table import Block, Entry, LatencyTable
from edgestill.models.layer import Layer
from edgestill.pipeline.calibration_blocks import grid
from edgestill.pipeline.calibration_chains import chains

EACH_MS, OF_A_MAC_MS, OF_NOTHING_MS = 0.02, 2e-8, 0.05
MJ_OF_A_MS = 4.0
FINGERPRINT = "0123456789abcdef"


@cache
def full_table() -> LatencyTable:
    """The small grid and the chains with a fit, in INT8, and energies proportional to the times."""
    files = [block.blocks for group in grid("small") for block in group]
    files += [chain.blocks for chain in chains()]
    facts: dict[str, Any] = {
        "device": "Test board",
        "fingerprint": FINGERPRINT,
        "target": "ssh://board",
        "engine": "tensorrt",
        "engine_version": "10.3.0",
        "provider": "GPU",
        "precision": "int8",
        "dialect": "tensorrt",
        "power_mode": "15W",
        "clocks": [],
        "threads": None,
        "batch": 1,
        "yardstick_sha256": None,
        "software": {},
        "energy_source": "VDD_IN",
        "created": "2026-01-01T00:00:00Z",
        "entries": [_entry([Block(**asdict(block)) for block in blocks]) for blocks in files],
    }
    return with_fit(LatencyTable.model_validate(facts))


def without_energy() -> LatencyTable:
    """The same of a board that meters nothing."""
    table = full_table()
    assert table.fit is not None
    changes = {
        "energy_source": "no power rail",
        "fit": table.fit.model_copy(update={"energy_mj": None}),
    }
    return table.model_copy(update=changes)


def network_ms(layers: list[Layer]) -> float:
    """What a network takes by the rule that the table's entries follow."""
    whole = [each.count * (EACH_MS + OF_A_MAC_MS * _multiplied(each)) for each in layers]
    return OF_NOTHING_MS + float(sum(whole))


def _entry(blocks: list[Block]) -> Entry:
    ms = OF_NOTHING_MS + sum(
        each.count * (EACH_MS + OF_A_MAC_MS * _macs(each))
        for block in blocks
        for each in layers_of(block)
    )
    return Entry(
        blocks=blocks,
        model_sha256="0" * 64,
        macs=0,
        params=0,
        p50_ms=ms,
        p90_ms=ms,
        rounds_p50_ms=[ms],
        yardstick_ms=None,
        device_p50_ms=None,
        runs=100,
        energy_mj=MJ_OF_A_MS * ms,
        energy_bound_mj=None,
        flags=[],
    )


def _multiplied(layer: Layer) -> Any:
    return layer.macs if layer.kind in ("conv", "depthwise", "linear") else 0


def _macs(layer: TimedLayer) -> int:
    if layer.kind == "linear":
        return int(layer.in_channels * layer.out_channels)
    if layer.kind.startswith("depthwise"):
        return int(layer.out_channels * layer.kernel**2 * layer.size_out**2)
    window = layer.kernel**2 * layer.size_out**2 if layer.kind.startswith("conv") else 0
    return int(layer.in_channels * layer.out_channels * window)
