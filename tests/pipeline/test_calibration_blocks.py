"""The grids: what they hold, in which order, and how they are cut into measurements."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import onnx
import pytest

from edgestill.deploy.agent.protocol import MOST_CASES
from edgestill.deploy.latency_range import Covered
from edgestill.export.single_block import Block
from edgestill.models.families import FAMILIES
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
from edgestill.pipeline.timed_layers import timed_layers


@pytest.mark.parametrize("name", GRIDS)
def test_every_block_of_a_grid_stands_in_it_once(name: str) -> None:
    blocks = [block for group in grid(name) for block in group]

    assert max(Counter(block.name for block in blocks).values()) == 1
    assert EMPTY in blocks
    assert {block.kind for block in blocks} == {
        "conv3x3", "conv3x3_add", "conv7x7", "conv1x1", "conv1x1_add", "expand1x1", "depthwise3x3",
        "max_pool", "global_pool", "linear", "identity",
    }  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("image_size", [32, 64])
@pytest.mark.parametrize("family", FAMILIES)
def test_no_network_of_a_family_lies_outside_a_grid(
    family: str, image_size: int, name: str
) -> None:
    covered = Covered(block for group in grid(name) for block in group)
    space = FAMILIES[family].space(num_classes=10, image_size=image_size)

    for start in (0, len(space) // 3, len(space) // 2, len(space) - 2000):
        chunk = next(space.chunks(2000, start=start))
        assert covered.outside(timed_layers(FAMILIES[family].layers(chunk.shape))) == []


@pytest.mark.parametrize("name", GRIDS)
def test_what_stands_in_a_row_is_timed_alone_at_other_shapes_at_least(name: str) -> None:
    blocks = {block for group in grid(name) for block in group}

    for kind in ("conv3x3", "conv1x1", "depthwise3x3", "linear"):
        counts = {block.count for block in blocks if block.kind == kind}
        assert {1, ROW} <= counts


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
