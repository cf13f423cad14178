"""INT8 in ONNX Runtime: edgestill's ort-x86 file against FP32, quantize_static and torchao PT2E.

    python benchmarks/int8.py [--networks NAME ...] [--size 64] [--rounds 9] [--json FILE]

Promises, on medians over rounds, with 1 and 2 threads, batch 1 and 8: at least as fast as ONNX
Runtime's own quantize_static (QDQ, uint8, per channel, pre-processed), within 3 %; on ResNet-18 2.5
times and on MobileNetV2 1.5 times as fast as FP32. Exit code 1 if one is broken.

In a round every file runs for --block milliseconds, in an order that rotates; the median of a block
is its time and all ratios are taken within a round. Images of 64x64 (32x32 for our own students),
untrained weights: neither changes what is computed. torchao is compared where it can be imported:

    pip install --target DIR --no-deps torchao && PYTHONPATH=DIR python benchmarks/int8.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rivals.int8_files import FP32, OURS, PT2E, SIZES, STATIC, network, write_files

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NETWORKS = (
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "regnet_x_400mf",
    "efficientnet_b0",
    "timm:efficientnet_lite0",
    "wrn28-0.5",
    "digits student",
)
THREADS, BATCHES = (1, 2), (1, 8)
TO_FP32 = {"resnet18": 2.5, "mobilenet_v2": 1.5}
TO_STATIC = 0.97
UNTIMED_MS = 10.0
"""At the start of a block, in which threads of the session before may still be spinning."""


def main() -> int:
    """Write the files, time them, print the table; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--size", type=int, default=64, help="of the libraries' images, pixels")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--block", type=float, default=150, help="milliseconds a file and round")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()

    results, broken = [], []
    for name in wanted.networks:
        size = SIZES.get(name, wanted.size)
        with tempfile.TemporaryDirectory() as folder:
            made = write_files(network(name), size, Path(folder))
            paths = {kind: path for kind, path in made.items() if isinstance(path, Path)}
            skipped = {kind: why for kind, why in made.items() if isinstance(why, str)}
            for kind, why in skipped.items():
                print(f"{name}: {kind} skipped: {why}", flush=True)
            fused = fused_of(paths[OURS])
            print(f"\n{name}, {size}x{size}: {fused}", flush=True)
            for threads in THREADS:
                for batch in BATCHES:
                    times = timed(paths, threads, batch, size, wanted)
                    found = compared(times)
                    print_row(threads, batch, times, found)
                    told = {"network": name, "size": size, "threads": threads, "batch": batch}
                    results.append(
                        told | {"fusion": fused, "ms": times, "ratios": found, "skipped": skipped}
                    )
                    broken += broken_promises(told, found)
    for each in broken:
        print(f"broken: {each}")
    if wanted.json:
        command = " ".join(["python", "benchmarks/int8.py", *sys.argv[1:]])
        told = {"command": command, "broken": broken, "results": results, **environment()}
        wanted.json.write_text(json.dumps(told, indent=1) + "\n")
    return 1 if broken else 0


def timed(
    paths: dict[str, Path], threads: int, batch: int, size: int, wanted: argparse.Namespace
) -> dict[str, list[float]]:
    """Milliseconds a run of every file, one median a round."""
    import numpy as np

    from edgestill.export.runtime import open_session

    x = np.random.default_rng(0).standard_normal((batch, 3, size, size), dtype=np.float32)
    sessions = {kind: open_session(path, threads=threads) for kind, path in paths.items()}
    times: dict[str, list[float]] = {kind: [] for kind in paths}
    kinds = list(paths)
    for turn in range(wanted.rounds):
        first = turn % len(kinds)  # nobody always follows the same neighbour
        for kind in kinds[first:] + kinds[:first]:
            block_of(sessions[kind], x, UNTIMED_MS)
            times[kind].append(statistics.median(block_of(sessions[kind], x, wanted.block)))
    return times


def block_of(session: InferenceSession, x: Any, least_ms: float) -> list[float]:
    """Milliseconds of each of at least three runs, `least_ms` together."""
    block: list[float] = []
    while sum(block) < least_ms or len(block) < 3:
        began = perf_counter()
        session.run(None, {"images": x})
        block.append(1000 * (perf_counter() - began))
    return block


def compared(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """How many times as fast edgestill's file is as each other, over rounds."""
    found = {}
    for kind in (FP32, STATIC, PT2E):
        if kind in times:
            ratios = [other / ours for other, ours in zip(times[kind], times[OURS], strict=True)]
            found[kind] = {
                "median": statistics.median(ratios),
                "min": min(ratios),
                "max": max(ratios),
            }
    return found


def broken_promises(told: dict[str, Any], found: dict[str, dict[str, float]]) -> list[str]:
    """One line for each."""
    promised = {STATIC: TO_STATIC}
    if told["network"] in TO_FP32:
        promised[FP32] = TO_FP32[told["network"]]
    where = f"{told['network']}, {told['threads']} threads, batch {told['batch']}"
    return [
        f"{where}: {found[kind]['median']:.2f} times as fast as {kind}, promised {least}"
        for kind, least in promised.items()
        if found[kind]["median"] < least
    ]


def fused_of(path: Path) -> str:
    """What ONNX Runtime makes of edgestill's file, in words."""
    from edgestill.export.fusion import fusion_report

    fusion = fusion_report(path, "ort-x86")
    return (
        f"{fusion.int8}/{fusion.total} in integer kernels, {fusion.qdq_left} Q/DQ left,"
        f" {len(fusion.float_islands)} float islands"
    )


def print_row(
    threads: int,
    batch: int,
    times: dict[str, list[float]],
    found: dict[str, dict[str, float]],
) -> None:
    """Medians in ms, then how many times as fast ours is as each other."""
    ms = "  ".join(f"{kind} {statistics.median(each):.3f}" for kind, each in times.items())
    ratios = "  ".join(
        f"{kind} {each['median']:.2f}x [{each['min']:.2f}, {each['max']:.2f}]"
        for kind, each in found.items()
    )
    print(f"  {threads} threads, batch {batch}: ms {ms}\n    faster than {ratios}", flush=True)


def environment() -> dict[str, Any]:
    """What the figures belong to."""
    from edgestill.deploy.agent.board import board

    told = board()
    return {"board": {key: told[key] for key in ("cpu", "os", "engines") if key in told}}


if __name__ == "__main__":
    sys.exit(main())
