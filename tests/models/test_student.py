"""Building students: seeded, without a trace in others' random numbers."""

from __future__ import annotations

import torch

from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

SPEC = WideResNet(blocks=(1, 1, 1), widths=(4, 4, 8))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (build(SPEC, seed=seed).state_dict() for seed in (3, 3, 4))

    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])


def test_building_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()

    build(SPEC, seed=3)

    assert torch.equal(torch.get_rng_state(), before)
