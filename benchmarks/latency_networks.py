"""Whole networks drawn from every family's space, and their ONNX files; for latency_model.py.

Their sizes are spread evenly over the logarithm of MACs, since rows drawn blindly are nearly all
large. Untrained weights, and ranges from noise: they do not change what is computed.
"""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgestill.models.families import Spec

SIZES = (32, 64)
EACH = 6
"""Networks of a family, half of them at each size of image."""
MACS = {32: (1.5e6, 3e8), 64: (6e6, 6e8)}
LOOKED_AT = 300
"""Random networks of the space among which the one nearest to the wanted MACs is taken."""
DIALECT = "ort-x86"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A network and what it is called in tables."""

    name: str
    spec: Spec


def drawn(seed: int, each: int = EACH) -> list[Drawn]:
    """`each` networks of every family; the same for the same seed."""
    from edgestill.models.families import FAMILIES

    chance = random.Random(seed)
    return [one for family in FAMILIES for one in _of_family(family, each, chance)]


def written(one: Drawn, folder: Path) -> dict[str, Path]:
    """Its files by precision, made where `folder` has none."""
    paths = {name: folder / f"{one.name}.{name}.onnx" for name in ("fp32", "int8")}
    if not all(path.exists() for path in paths.values()):
        folder.mkdir(parents=True, exist_ok=True)
        _write(one.spec, paths)
    return paths


def _of_family(family: str, each: int, chance: random.Random) -> Iterator[Drawn]:
    from edgestill.models.families import FAMILIES

    for number in range(each):
        size = SIZES[number % len(SIZES)]
        space = FAMILIES[family].space(num_classes=10, image_size=size)
        least, most = MACS[size]
        # One in each of as many parts of the range as there are networks at this size.
        part = (number // len(SIZES) + chance.random()) / (each / len(SIZES))
        wanted = least * (most / least) ** part
        specs = [space.spec(chance.randrange(len(space))) for _ in range(LOOKED_AT)]
        spec = min(specs, key=lambda spec: abs(spec.cost().macs / wanted - 1))
        yield Drawn(name=f"{family}-{size}-{number // len(SIZES)}", spec=spec)


def _write(spec: Spec, paths: dict[str, Path]) -> None:
    import onnx
    import torch

    from edgestill.export.dialects import write_dialect
    from edgestill.export.markers import strip_markers
    from edgestill.export.to_onnx import onnx_from_model
    from edgestill.models.fake_quant import calibrate, prepare
    from edgestill.models.fold import fold_batch_norm
    from edgestill.models.ranges import ranges_of
    from edgestill.models.student import build

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # what the exporter tells of its passes
    shape = (spec.in_channels, spec.image_size, spec.image_size)
    images = torch.randn(16, *shape, generator=torch.Generator().manual_seed(0))
    network = build(spec, seed=0).train()
    with torch.no_grad():
        for _ in range(3):
            network(images)
    prepared = prepare(fold_batch_norm(network.eval()))
    calibrate(prepared, [images])
    marked = onnx_from_model(prepared.eval(), shape)
    onnx.save(strip_markers(marked), paths["fp32"])
    onnx.save(write_dialect(marked, ranges_of(prepared), DIALECT), paths["int8"])
