"""INT8 for a network that no run made: ranges from images, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from ..models.errors import BadInput
from .events import emit
from .export_source import Network, Quantized
from .recipe import SOURCES, CalibrationMethod, DataSettings, Quantize

if TYPE_CHECKING:
    from torch import Tensor

    from .data import Data
    from .quantizing import Calibrated

CALIBRATION_IMAGES = 1024
COSTS_TOLD = 10


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


def quantized_by(network: Network, ranges_from: RangesFrom, data: Data) -> Quantized:
    """The network in 8 bits, its ranges set on training images; the dearest layers told."""
    from ..models.fold import fold_batch_norm
    from ..models.ranges import ranges_of
    from .quantizing import calibrated

    images = _images(data)
    start = calibrated(
        fold_batch_norm(network.model),
        images,
        method=ranges_from.method,
        percentile=Quantize().percentile,
        keep_float=ranges_from.keep_float,
    )
    if start.costs:
        _tell_costs(start)
    return Quantized(
        network=start.network,
        ranges=ranges_of(start.network),
        method=f"{ranges_from.method} over {sum(map(len, images))} images",
        keep_float=start.keep_float,
    )


def tell_int8(path: Path, target: str, whole: Path | None) -> None:
    """What the target's runtime fuses of an INT8 file, and whether it is worth it, as notes.

    `path` and `whole`, the float file, take float images and give logits.
    """
    from ..export.fusion import fusion_report
    from ..export.int8_speed import speed_note

    fusion = fusion_report(path, target)
    counted = f"{fusion.int8} of {fusion.total} in INT8"
    emit("note", text=f"{target}: {counted} ({fusion.source}, on this machine)")
    if whole is not None and (note := speed_note(whole, path, target)):
        emit("note", text=note)


def data_for(source: str, network: Network, option: str) -> Data:
    """The data of `source`, images normalised as the network was trained.

    Where that is not known, by the images' own mean and deviation, and a note says so.
    """
    import torch

    from .data import open_data

    told = {"mean": network.mean, "std": network.std} if network.mean else {}
    settings = _settings(source, option, {"image_size": network.shape[1], **told})
    data = open_data(settings, device=torch.device("cpu"), base=Path())
    if network.mean is None:
        shown_mean = ", ".join(f"{each:.3f}" for each in data.mean)
        emit("note", text=f"{source}: images normalised by their own mean ({shown_mean})")
    return data


def known_source(source: str, option: str) -> None:
    """Raises `BadInput` for a `source` of `option` that is of no known kind; opens nothing."""
    _settings(source, option, {})


def _settings(source: str, option: str, told: Mapping[str, object]) -> DataSettings:
    from pydantic import ValidationError

    try:
        return DataSettings.model_validate(
            {"source": source, "resize": True, "batch_size": 64, **told}
        )
    except ValidationError:
        raise BadInput(f"{option} {source}: expected {SOURCES}") from None


def _images(data: Data) -> list[Tensor]:
    """Un-augmented training images, at most CALIBRATION_IMAGES."""
    from .splits import seeded_order

    train = data.train.plain()
    rows = seeded_order(len(train.labels), seed=(0,))[:CALIBRATION_IMAGES]
    return [train.some(rows[start : start + 64])[0] for start in range(0, len(rows), 64)]


def _tell_costs(start: Calibrated) -> None:
    """The dearest layers, one note each."""
    for cost in start.costs[:COSTS_TOLD]:
        kept = "stays float" if cost.layer in start.keep_float else "in 8 bits"
        changed = f"alone changes the class of {100 * cost.changed:.1f} % of images"
        emit("note", text=f"{cost.layer}: {changed} (KL {cost.divergence:.2g}); {kept}")
