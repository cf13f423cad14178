"""From a spec to the network: seeded, and leaving everybody else's random numbers alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from .families import Spec


def build(spec: Spec, *, seed: int) -> nn.Module:
    """The untrained network of `spec`; the same seed gives the same weights.

    Its attribute `blocks` (tuple of module paths) names the features to distill, shallow to deep.
    """
    with seeded(seed):
        return spec.network()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block torch's CPU generator starts at `seed`; after it, all is as before."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would also reseed the accelerators, which are not restored.
        torch.default_generator.manual_seed(seed)
        yield
