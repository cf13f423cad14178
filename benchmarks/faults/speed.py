"""How long the command takes for a ResNet-50 in INT8: a whole process, from start to exit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from .bases import dialect, marked
from .exporters import dynamo
from .networks import noise, warmed

TARGET, TIMES, CORES = "ort-x86", 3, 2


def seconds_of_a_check(work: Path, most: float) -> dict[str, Any]:
    """Seconds of `edgestill check` on the file of one target, plain and under its contract."""
    work.mkdir(parents=True, exist_ok=True)
    whole, quantized, contract = (work / f"resnet50.{x}" for x in ("fp32.onnx", "onnx", "toml"))
    network = warmed("resnet50", 224)
    images = noise((3, 224, 224), rows=16, seed=6)
    exported = dynamo(network, {"images": images[:2]}, ("logits",))
    whole.write_bytes(exported.SerializeToString(deterministic=True))
    prepared, graph = marked(network, images)
    quantized.write_bytes(dialect(prepared, graph, TARGET).SerializeToString(deterministic=True))
    contract.unlink(missing_ok=True)
    _timed("check", quantized, "--init", "--reference", whole, "--contract", contract)
    ways: dict[str, tuple[Any, ...]] = {
        "without a contract": ("check", quantized, "--target", TARGET),
        "under its contract": ("check", quantized, "--contract", contract),
    }
    timed = {way: [_timed(*words) for _ in range(TIMES)] for way, words in ways.items()}
    seconds = {way: [wall for wall, _ in each] for way, each in timed.items()}
    for way, each in timed.items():
        told = ", ".join(f"{wall:.1f} ({cpu:.1f} of a core)" for wall, cpu in each)
        print(f"ResNet-50 INT8, {way}: {told} s on {CORES} cores (promised: < {most:g} s)")
    return {
        "command": "python benchmarks/check_catches.py --speed",
        "model": f"ResNet-50, INT8 for {TARGET}, 3 x 224 x 224, {quantized.stat().st_size} bytes",
        "cores": CORES,
        "promised_seconds": most,
        "seconds": seconds,
        "core_seconds": {way: [cpu for _, cpu in each] for way, each in timed.items()},
        "load_average": os.getloadavg(),
        "broken": [
            f"the check {way} takes {max(each):.1f} s; {most:g} s are promised"
            for way, each in seconds.items()
            if max(each) >= most
        ],
    }


def _timed(*words: Any) -> tuple[float, float]:
    """Seconds of the command on the first of this process' cores, and what it took of them.

    A failed check is an error.
    """
    executable = Path(sys.executable).with_name("edgestill")
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    before, begun = os.times(), perf_counter()
    done = subprocess.run(
        [str(executable), *map(str, words)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        check=False,
    )
    seconds, after = perf_counter() - begun, os.times()
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, words))} ends with {done.returncode}:\n{done.stdout}"
        )
    taken = after.children_user - before.children_user
    return seconds, taken + after.children_system - before.children_system
