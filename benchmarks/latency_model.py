"""Is a network's latency what the table's fit says? Networks that the fit never saw, measured here.

    python benchmarks/latency_model.py [--seed 2] [--each 6] [--tables DIR] [--files DIR] [--write]

A latency table of the small grid is made (`edgestill calibrate`, 1 thread), in FP32 and in INT8;
then networks of every family, drawn by latency_networks.py from the seed, are predicted and
measured by our own profiler, in turns. Promises, for FP32 and INT8 each: the median absolute error
is at most 10 %, the rank correlation (Spearman) at least 0.95. Exit code 1 if one is broken.

All times are told at one speed of the machine, by the yardstick that `calibrate` times beside each
window and that is timed beside the networks' windows too (deploy/yardstick.py says why). The errors
against the plain p50 of all rounds are told besides. The fit was developed on networks of the seeds
100 and more, its grid changed after a look at those of 0, the yardstick and the chains added after
those of 1.
Without --tables and --files both are made anew, which takes half an hour, most of it exporting.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from latency_networks import DIALECT, Drawn, drawn, written
from scipy.stats import spearmanr

if TYPE_CHECKING:
    from edgestill.deploy.latency_fit import Fit
    from edgestill.deploy.latency_table import LatencyTable
    from edgestill.deploy.measurement import Measurement

PRECISIONS = ("fp32", "int8")
RESULTS = Path(__file__).parent / "results"
MEDIAN, RANK = 0.10, 0.95
ROUNDS, SECONDS = 7, 1.4


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One network: what was predicted, and what it took."""

    name: str
    network: str
    macs: int
    predicted_ms: float
    low_ms: float
    high_ms: float
    measured_ms: float
    """At the speed of the table."""
    p50_ms: float
    """Of all rounds, at whatever speed they were."""
    extrapolates: list[str]

    @property
    def error(self) -> float:
        return self.predicted_ms / self.measured_ms - 1

    @property
    def inside(self) -> bool:
        return self.low_ms <= self.measured_ms <= self.high_ms


def main() -> int:
    """Calibrate, predict, measure, print; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--each", type=int, default=6, help="networks of a family")
    parser.add_argument("--tables", type=Path, help="where tables are kept; default: made anew")
    parser.add_argument("--files", type=Path, help="where ONNX files are kept; default: nowhere")
    parser.add_argument("--write", action="store_true", help="into benchmarks/results")
    wanted = parser.parse_args()
    from edgestill.deploy.latency_fit import fitted, speed_of

    networks = drawn(wanted.seed, wanted.each)
    with tempfile.TemporaryDirectory() as folder:
        files = wanted.files or Path(folder, "files")
        tables = wanted.tables or Path(folder, "tables")
        paths = [written(one, files) for one in networks]
        found: dict[str, list[Judged]] = {}
        fits: dict[str, Fit] = {}
        kept: dict[str, LatencyTable] = {}
        for name in PRECISIONS:
            kept[name] = table = _table(name, tables / f"{name}.json")
            fits[name], speed_ms = fitted(table), speed_of(table)
            assert speed_ms is not None  # ONNX Runtime's tables have a yardstick
            measured = _measured([path[name] for path in paths], table.dialect, Path(folder))
            found[name] = [
                _judged(*each, fits[name], speed_ms)
                for each in zip(networks, measured, strict=True)
            ]
    told = {name: summary(judged, fits[name], kept[name]) for name, judged in found.items()}
    text = "\n".join(_lines(wanted.seed, found, told)) + "\n"
    print(text)
    broken = [f"{name}: {line}" for name in PRECISIONS for line in told[name]["broken"]]
    for each in broken:
        print(f"broken: {each}")
    if wanted.write:
        _write(text, wanted.seed, found, told)
    return 1 if broken else 0


def summary(judged: Sequence[Judged], fit: Fit, table: LatencyTable) -> dict[str, Any]:
    """Median absolute error, rank correlation, share inside the interval, and what is broken."""
    from edgestill.deploy.latency_fit import speed_of
    from edgestill.deploy.yardstick import moved

    speed_ms = speed_of(table)
    assert speed_ms is not None  # as in main
    errors = np.abs([each.error for each in judged])
    plain = np.abs([each.predicted_ms / each.p50_ms - 1 for each in judged])
    ranks = spearmanr(
        [each.predicted_ms for each in judged], [each.measured_ms for each in judged]
    ).statistic
    told = {
        "networks": len(judged),
        "median_error": round(float(np.median(errors)), 4),
        "largest_error": round(float(errors.max()), 4),
        "median_error_by_p50": round(float(np.median(plain)), 4),
        "rank_correlation": round(float(ranks), 4),
        "level": fit.level,
        "inside": round(float(np.mean([each.inside for each in judged])), 3),
        "speed_ms": round(speed_ms, 5),
        "speed_moved": round(moved(table.yardstick_ms), 2),
        "blocks": len(fit.blocks),
        "chains": fit.record.networks,
        "chains_median_error": fit.record.median_error,
        "told_error": fit.record.error,
    }
    broken = []
    if told["median_error"] > MEDIAN:
        broken.append(f"median absolute error {told['median_error']:.3f}")
    if told["rank_correlation"] < RANK:
        broken.append(f"rank correlation {told['rank_correlation']:.3f}")
    return {**told, "broken": broken}


def _table(precision: str, path: Path) -> LatencyTable:
    """The table in `path`, completed first."""
    from edgestill.deploy.latency_table import read_table
    from edgestill.pipeline.calibrate_command import calibrate_command

    calibrate_command(precision=precision, threads=1, out=path)
    return read_table(path)


def _measured(paths: Sequence[Path], dialect: str | None, folder: Path) -> Sequence[Measurement]:
    """All files in turns, with the table's yardstick beside them, by our own profiler, 1 thread."""
    from edgestill.deploy.session import Case, profile
    from edgestill.pipeline.calibration_blocks import written as block_written
    from edgestill.pipeline.calibration_chains import YARDSTICK

    yardstick, *cases = (
        Case(model=path, label=path.stem, provider="CPUExecutionProvider", threads=1)
        for path in (block_written(YARDSTICK, dialect, folder), *paths)
    )
    return profile(
        cases,
        yardstick=yardstick,
        rounds=ROUNDS,
        seconds=SECONDS,
        min_runs=10 * ROUNDS,
        warmup_seconds=0.2,
    ).measurements


def _judged(one: Drawn, measured: Measurement, fit: Fit, speed_ms: float) -> Judged:
    from edgestill.deploy.yardstick import steady_ms
    from edgestill.pipeline.timed_layers import timed_layers

    layers = timed_layers(one.spec.layers(one.spec))
    predicted = float(fit.ms(layers))
    low, high = fit.interval(predicted)
    rounds = [each.p50_ms for each in measured.slices]
    beside = [each.yardstick_ms for each in measured.slices if each.yardstick_ms is not None]
    assert len(beside) == len(rounds)
    return Judged(
        name=one.name,
        network=one.spec.describe(),
        macs=one.spec.cost().macs,
        predicted_ms=round(predicted, 4),
        low_ms=round(float(low), 4),
        high_ms=round(float(high), 4),
        measured_ms=round(steady_ms(rounds, beside, speed_ms), 4),
        p50_ms=measured.latency_ms["p50"],
        extrapolates=fit.extrapolates(layers),
    )


def _lines(
    seed: int, found: dict[str, list[Judged]], told: dict[str, dict[str, Any]]
) -> Iterable[str]:
    yield "# Latency of whole networks, predicted from a table of blocks\n"
    yield f"`python benchmarks/latency_model.py --seed {seed}`: ONNX Runtime, 1 thread, batch 1."
    yield "Measured at the speed of the table, by a yardstick timed beside every window.\n"
    yield (
        "| precision | networks | median abs. error | largest | by p50 of all rounds"
        " | rank correlation | inside the interval | blocks | chains, median error"
        " | interval told |"
    )
    yield "| --- |" + " ---: |" * 9
    for name, each in told.items():
        yield (
            f"| {name} | {each['networks']} | {each['median_error']:.1%}"
            f" | {each['largest_error']:.1%} | {each['median_error_by_p50']:.1%}"
            f" | {each['rank_correlation']:.3f} | {each['inside']:.0%} (told: {each['level']:.0%})"
            f" | {each['blocks']} | {each['chains']}: {each['chains_median_error']:.1%}"
            f" | {each['told_error']:.1%} |"
        )
    yield f"\nPromised: at most {MEDIAN:.0%}, at least {RANK}.\n"
    for name, judged in found.items():
        yield f"## {name}\n"
        yield "| network | | MMAC | predicted ms | interval | measured ms | error | inside |"
        yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"
        for one in sorted(judged, key=lambda one: one.measured_ms):
            yield (
                f"| {one.name} | {one.network} | {one.macs / 1e6:.1f} | {one.predicted_ms:.3f}"
                f" | {one.low_ms:.3f} to {one.high_ms:.3f} | {one.measured_ms:.3f}"
                f" | {one.error:+.1%} | {'yes' if one.inside else 'no'} |"
            )
        yield ""


def _write(
    text: str, seed: int, found: dict[str, list[Judged]], told: dict[str, dict[str, Any]]
) -> None:
    from surroundings import environment

    networks = {
        name: [{**asdict(one), "error": round(one.error, 4), "inside": one.inside} for one in each]
        for name, each in found.items()
    }
    command = f"python benchmarks/latency_model.py --seed {seed} --write"
    content = {"command": command, "seed": seed, "dialect": DIALECT, "summary": told}
    content |= {"networks": networks, **environment()}
    (RESULTS / "latency_model_cpu.json").write_text(json.dumps(content, indent=1) + "\n")
    (RESULTS / "latency_model_cpu.md").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
