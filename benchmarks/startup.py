"""How long the command takes before it does anything: --help, and a run in which all is reused.

    python benchmarks/startup.py [--runs N] [--json FILE]

Promises: `edgestill --help` and the device agent under 0.3 s; a second `edgestill run` under 1 s,
without torch. The baseline, timed in turn with them, is an interpreter that starts and does
nothing. Exit code 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from edgestill.deploy.bundle import write_agent

EDGESTILL = [sys.executable, "-m", "edgestill.pipeline"]
BASELINE = [sys.executable, "-c", "pass"]
PROMISED_S = {"--help": 0.3, "agent": 0.3, "run, all reused": 1.0}
HEAVY = {"torch", "torchvision", "onnx", "onnxruntime", "sklearn", "pyarrow", "matplotlib"}


def main() -> int:
    """Time, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rerun = [*EDGESTILL, "run", "smoke", "--workdir", f"{folder}/work"]
        subprocess.run(rerun, check=True, capture_output=True)
        agent = [sys.executable, str(write_agent(Path(folder, "agent.pyz"))), "--help"]
        commands = {"python": BASELINE, "--help": [*EDGESTILL, "--help"], "agent": agent}
        commands["run, all reused"] = rerun
        samples_s = interleaved(commands, wanted.runs)
        loaded = heavy_modules(["run", "smoke", "--workdir", f"{folder}/work"])
    median_s = {name: statistics.median(times) for name, times in samples_s.items()}
    kept = not loaded
    print(f"{'command':<18}{'median s':>10}{'max s':>8}{'x python':>10}{'promised s':>12}")
    for name, times in samples_s.items():
        promise = PROMISED_S.get(name)
        kept &= promise is None or median_s[name] < promise
        ratio = median_s[name] / median_s["python"]
        print(
            f"{name:<18}{median_s[name]:>10.3f}{max(times):>8.3f}{ratio:>10.1f}{promise or '':>12}"
        )
    print(f"heavy packages loaded by the second run: {', '.join(sorted(loaded)) or 'none'}")
    print(f"n = {wanted.runs} each, in turn; Python {platform.python_version()}")
    if wanted.json:
        told = {"median_s": median_s, "samples_s": samples_s, "heavy": sorted(loaded), "kept": kept}
        wanted.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0 if kept else 1


def interleaved(commands: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """Seconds of every command, taken in turn, so that a busy moment hits all of them."""
    samples_s: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            began = perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            samples_s[name].append(perf_counter() - began)
    return samples_s


def heavy_modules(words: list[str]) -> set[str]:
    """Which heavy packages the command has loaded when it ends."""
    code = (
        "import sys, edgestill.pipeline.cli as cli\n"
        f"sys.argv = ['edgestill', *{words!r}]\n"
        "try: cli.main()\n"
        "except SystemExit: print('\\n' + ' '.join(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return HEAVY & set(done.stdout.splitlines()[-1].split())


if __name__ == "__main__":
    sys.exit(main())
