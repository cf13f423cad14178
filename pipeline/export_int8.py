"""INT8 files of a network that no run made: ranges from images, one file per target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from ..models.errors import BadInput
from .events import emit
from .recipe import CalibrationMethod, Quantize

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .quantizing import Calibrated

CALIBRATION_IMAGES = 1024
COSTS_TOLD = 10


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network to export, and what is known of the images it takes."""

    model: nn.Module
    shape: tuple[int, int, int]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """Metadata for the file: how its images are normalised, where that is known."""
        known = {"mean": self.mean, "std": self.std}
        return {name: list(value) for name, value in known.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class RangesFrom:
    """Where the INT8 ranges come from, and what gets none."""

    images: str
    """As data.source of a recipe."""
    method: CalibrationMethod
    keep_float: Literal["auto"] | tuple[str, ...]


def how_ranges_come(images: str | None, method: str, keep_float: Sequence[str]) -> RangesFrom:
    """What --calibrate, --calibration and --keep-float ask for."""
    if images is None:
        raise BadInput(
            "INT8 ranges come from data: give images with --calibrate, as imagefolder:DIR"
            " or parquet:DIR; or take --precision fp32"
        )
    if method not in get_args(CalibrationMethod):
        raise BadInput(
            f"--calibration {method}: expected one of {', '.join(get_args(CalibrationMethod))}"
        )
    if "auto" in keep_float and len(keep_float) > 1:
        raise BadInput("--keep-float: auto finds the layers itself; give auto or names, not both")
    kept = "auto" if "auto" in keep_float else tuple(keep_float)
    return RangesFrom(
        images=images,
        method=cast(CalibrationMethod, method),
        keep_float=cast(Literal["auto"] | tuple[str, ...], kept),
    )


def export_int8(
    network: Network, out: Path, targets: Sequence[str], ranges_from: RangesFrom
) -> dict[str, Path]:
    """Write model.<target>.onnx into `out` for every target, and say what each runtime fuses."""
    from ..export.dialects import write_dialect
    from ..export.fusion import fusion_report
    from ..export.to_onnx import onnx_from_model
    from ..models.fold import fold_batch_norm
    from ..models.ranges import ranges_of
    from .exporting import save_onnx
    from .quantizing import calibrated

    start = calibrated(
        fold_batch_norm(network.model),
        _images(ranges_from.images, network),
        method=ranges_from.method,
        percentile=Quantize().percentile,
        keep_float=ranges_from.keep_float,
    )
    if start.costs:
        _tell_costs(start)
    marked, ranges = onnx_from_model(start.network, network.shape), ranges_of(start.network)
    files = {}
    for target in targets:
        files[target] = out / f"model.{target}.onnx"
        facts = {**network.facts, "target": target}
        save_onnx(write_dialect(marked, ranges, target), files[target], facts)
        fusion = fusion_report(files[target], target)
        counted = f"{fusion.int8} of {fusion.total} in INT8"
        emit("note", text=f"{target}: {counted} ({fusion.source}, on this machine)")
    return files


def _images(source: str, network: Network) -> list[Tensor]:
    """Un-augmented training images of `source`, normalised as the network was trained.

    Where that is not known, by the images' own mean and deviation, and a note says so.
    """
    import torch
    from pydantic import ValidationError

    from .data import open_data
    from .recipe import SOURCES, DataSettings
    from .splits import seeded_order

    told = {"mean": network.mean, "std": network.std} if network.mean else {}
    try:
        settings = DataSettings.model_validate(
            {"source": source, "image_size": network.shape[1], "resize": True, "batch_size": 64}
            | told
        )
    except ValidationError:
        raise BadInput(f"--calibrate {source}: expected {SOURCES}") from None
    data = open_data(settings, device=torch.device("cpu"), base=Path())
    if network.mean is None:
        shown_mean = ", ".join(f"{each:.3f}" for each in data.mean)
        emit("note", text=f"calibrating on images normalised by their own mean ({shown_mean})")
    train = data.train.plain()
    rows = seeded_order(len(train.labels), seed=(0,))[:CALIBRATION_IMAGES]
    return [train.some(rows[start : start + 64])[0] for start in range(0, len(rows), 64)]


def _tell_costs(start: Calibrated) -> None:
    """The dearest layers, one note each."""
    for cost in start.costs[:COSTS_TOLD]:
        kept = "stays float" if cost.layer in start.keep_float else "in 8 bits"
        changed = f"alone changes the class of {100 * cost.changed:.1f} % of images"
        emit("note", text=f"{cost.layer}: {changed} (KL {cost.divergence:.2g}); {kept}")
