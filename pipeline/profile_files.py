"""A measurement in files: JSON with every sample, CSV with a row for each case, the pictures."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .comparison import METHOD
from .networks import write_json

if TYPE_CHECKING:
    from ..deploy.measurement import Measurement, Profile
    from .profile_results import Results

SEPARATE_FIGURES = ("p50", "p90", "p95", "p99", "mean", "min", "max")


def results_json(results: Results) -> dict[str, Any]:
    """{"profiles": one for each power mode, "comparisons", "method"}; all figures and samples."""
    return {
        "profiles": [
            {
                **profile_json(profile),
                "measurements": [
                    {"model": str(model), "accuracy": top1, **measured.to_json()}
                    for model, top1, measured in zip(
                        results.models, results.accuracy, profile.measurements, strict=True
                    )
                ],
            }
            for profile in results.profiles
        ],
        "comparisons": [each.to_json() for each in results.comparisons()],
        "method": METHOD,
    }


def profile_json(profile: Profile) -> dict[str, Any]:
    """A profile without its measurements."""
    return {
        "target": profile.target,
        "board": profile.board,
        "settings": profile.settings,
        "power": profile.power,
        "earlier_slices": profile.earlier_slices,
    }


def write_results(results: Results, folder: Path) -> None:
    """measurements.json, measurements.csv, board.json and the pictures, into `folder`."""
    from .profile_plots import pictures

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "measurements.json", results_json(results))
    write_csv(results, folder / "measurements.csv")
    write_json(folder / "board.json", results.profiles[0].board)
    for name, svg in pictures(results).items():
        (folder / name).write_text(svg, encoding="utf-8")


def write_csv(results: Results, path: Path) -> None:
    """One row for each case in each power mode; what was not measured is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(csv_of(results), encoding="utf-8", newline="")


def csv_of(results: Results) -> str:
    """The rows under their heads, units in the heads."""
    modes = len(results.profiles)
    rows = [
        {"model": str(model), **_row(measured), "top1": top1}
        for model, top1, measured in zip(
            results.models * modes, results.accuracy * modes, results.measurements, strict=True
        )
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(measured: Measurement) -> dict[str, object]:
    device = measured.device_ms or {}
    energy_mj = measured.energy_mj
    return {
        "label": measured.label,
        "target": measured.target,
        "engine": measured.engine,
        "engine_version": measured.engine_version,
        "provider": measured.provider,
        "precision": measured.precision,
        "batch": measured.batch,
        "threads": measured.threads,
        "power_mode": measured.power_mode,
        "clocks_locked": measured.clocks_locked,
        **{f"latency_{name}_ms": measured.latency_ms[name] for name in SEPARATE_FIGURES},
        **{f"device_{name}_ms": device.get(name) for name in SEPARATE_FIGURES},
        "runs": measured.runs,
        "rounds": len(measured.slices),
        "earlier_windows": sum(one.earlier for one in measured.slices),
        "spread": measured.spread,
        "drift": measured.drift,
        "load_ms": measured.load_ms,
        "first_ms": measured.first_ms,
        "images_per_s": measured.throughput_per_s,
        "energy_mj": energy_mj,
        "energy_bound_mj": measured.energy_bound_mj,
        "energy_above_idle_mj": measured.energy_above_idle_mj,
        "images_per_j": 1000 * measured.batch / energy_mj if energy_mj else None,
        "power_w": None if measured.power_mw is None else measured.power_mw / 1000,
        "idle_power_w": None if measured.idle_power_mw is None else measured.idle_power_mw / 1000,
        "energy_source": measured.energy_source,
        "celsius": measured.celsius,
        "flags": "; ".join(flag.kind for flag in measured.flags),
        "model_bytes": measured.model_bytes,
        "model_sha256": measured.model_sha256,
    }
