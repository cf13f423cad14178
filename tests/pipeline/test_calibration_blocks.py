"""The grids: what they hold, in which order, and how they are cut into measurements."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import onnx
import pytest

from edgestill.deploy.agent.protocol import MOST_CASES
from edgestill.export.single_block import Block
from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline.calibration_blocks import (
    CASES_AT_ONCE,
    EMPTY,
    GRIDS,
    ROW,
    batches,
    grid,
    sha256_of,
    written,
)


@pytest.mark.parametrize("name", GRIDS)
def test_every_block_of_a_grid_stands_in_it_once(name: str) -> None:
    blocks = [block for group in grid(name) for block in group]

    assert max(Counter(block.name for block in blocks).values()) == 1
    assert EMPTY in blocks
    assert {block.kind for block in blocks} == {
        "conv3x3", "conv3x3_add", "conv1x1", "depthwise3x3", "global_pool", "linear", "identity"
    }  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_what_can_stand_in_a_row_is_timed_alone_as_well(name: str) -> None:
    blocks = {block for group in grid(name) for block in group}
    rows = [block for block in blocks if block.count == ROW and block.kind != "conv3x3_add"]

    assert rows
    for row in rows:
        shape = (row.kind, row.in_channels, row.out_channels, row.size)
        assert any(
            (one.kind, one.in_channels, one.out_channels, one.size) == shape and one.count == 1
            for one in blocks
        )


def test_the_small_grid_has_every_layer_of_a_network_of_ours() -> None:
    network = WideResNet(depth=10, widths=(16, 32, 64), stem=16)
    shapes = {
        (block.kind, block.in_channels, block.out_channels, block.size, block.stride)
        for group in grid("small")
        for block in group
    }

    for layer in (
        ("conv3x3", network.in_channels, 16, 32, 1),
        ("conv3x3_add", 16, 16, 32, 1),
        ("conv3x3", 16, 32, 32, 2),
        ("conv1x1", 16, 32, 32, 2),
        ("conv3x3_add", 32, 32, 16, 1),
        ("conv3x3", 32, 64, 16, 2),
        ("conv1x1", 32, 64, 16, 2),
        ("conv3x3_add", 64, 64, 8, 1),
        ("global_pool", 64, 64, 8, 1),
    ):
        assert layer in shapes


def test_the_order_is_the_same_each_time_and_not_by_size() -> None:
    work = [block.macs for group in grid("small") for block in group]

    assert grid("small") == grid("small")
    rising = sum(one <= other for one, other in pairwise(work))
    assert 0.3 < rising / len(work) < 0.7


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_is_measured_in_parts_that_keep_groups_together(name: str) -> None:
    groups = grid(name)
    parts = list(batches(groups))

    assert [block for part in parts for block in part] == [b for group in groups for b in group]
    assert all(0 < len(part) <= CASES_AT_ONCE <= MOST_CASES for part in parts)
    for group in groups:
        assert any(set(group) <= set(part) for part in parts)


def test_what_is_measured_already_leaves_no_empty_part() -> None:
    assert list(batches([(), (EMPTY,), ()])) == [[EMPTY]]
    assert list(batches([(), ()])) == []


def test_a_file_is_written_under_its_own_bytes(tmp_path: Path) -> None:
    block = Block(kind="conv3x3", in_channels=4, out_channels=4, size=8)

    path, quantized = written(block, None, tmp_path), written(block, "ort-arm64", tmp_path)

    assert written(block, None, tmp_path) == path != quantized
    assert path.stem == sha256_of(block, None)[:16]
    operators = {node.op_type for node in onnx.load(quantized).graph.node}
    assert "QuantizeLinear" in operators
