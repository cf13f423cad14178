"""The whole networks of a calibration: of every style, sizes apart, and nothing that a fit saw."""

from __future__ import annotations

import pytest

from edgestill.deploy.latency_range import Covered
from edgestill.export.single_block import Chain
from edgestill.pipeline.calibration_blocks import GRIDS, grid
from edgestill.pipeline.calibration_chains import YARDSTICK, chains


def test_there_are_a_dozen_and_their_work_is_far_apart() -> None:
    macs = sorted(chain.macs for chain in chains())

    assert len({chain.name for chain in chains()}) == 12
    assert macs[-1] > 40 * macs[0]


def test_most_of_their_convolutions_are_not_in_the_small_grid() -> None:
    known = {(b.in_channels, b.out_channels, b.size) for group in grid("small") for b in group}

    for chain in chains():
        shapes = [(b.in_channels, b.out_channels, b.size) for b in chain.blocks if b.kernel]
        assert sum(shape not in known for shape in shapes) > len(shapes) / 2, chain.name


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("chain", [*chains(), YARDSTICK], ids=lambda chain: chain.name)
def test_they_lie_within_a_grid_and_are_networks_from_image_to_logits(
    name: str, chain: Chain
) -> None:
    covered = Covered(block for group in grid(name) for block in group)
    measured = Covered(chain.blocks)

    assert measured.groups <= covered.groups
    assert chain.blocks[0].in_channels == 3
    assert [block.kind for block in chain.blocks[-2:]] == ["global_pool", "linear"]
