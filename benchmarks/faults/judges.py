"""The tools that judge a file: onnx.checker, Polygraphy as its users call it, and edgestill."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bases import Base

SECONDS = 300
LEAST_TOLERANCE = 1e-5  # Polygraphy's default
CHECKER, LINT, RUN, LOOSE, OURS = (
    "onnx.checker",
    "polygraphy lint",
    "polygraphy run",
    "polygraphy run, fitted",
    "edgestill",
)
TOOLS = (CHECKER, LINT, RUN, LOOSE, OURS)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What one tool says of one file."""

    alarm: bool
    why: str = ""


class Judges:
    """All tools; without Polygraphy's executable, all others."""

    def __init__(self, polygraphy: Path | None) -> None:
        self.ours = Edgestill()
        self.rival = Polygraphy(polygraphy) if polygraphy else None
        self.tolerances: dict[str, float] = {}

    def versions(self) -> dict[str, str]:
        import onnx
        import onnxruntime

        told = {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
        return told | ({"polygraphy": self.rival.version()} if self.rival else {})

    def prepare(self, base: Base) -> None:
        """What each tool wants of the known-good file; RuntimeError if one does not take it."""
        self.ours.write_contract(base)
        if self.rival:
            self.rival.record(base)

    def apart(self, base: Base, path: Path) -> float:
        """The absolute tolerance that Polygraphy needs to pass `path`."""
        return self.rival.apart(path, base) if self.rival else 0.0

    def fit(self, base: Base, needed: Iterable[float]) -> float | None:
        """The least tolerance of 1, 2, 5, 10 ... that passes files which need `needed`."""
        if not self.rival:
            return None
        self.tolerances[base.name] = rounded_up(max([*needed, LEAST_TOLERANCE]))
        return self.tolerances[base.name]

    def judge(self, path: Path, base: Base) -> dict[str, Judgement]:
        """What each tool says of the file at `path`."""
        told = {CHECKER: by_checker(path)}
        if self.rival:
            told[LINT] = self.rival.lint(path, base)
            told[RUN] = self.rival.run(path, base)
            told[LOOSE] = self.rival.run(path, base, self.tolerances[base.name])
        told[OURS] = self.ours.judge(path, base)
        return told


def by_checker(path: Path) -> Judgement:
    """onnx.checker with everything that it can do."""
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, RuntimeError) as e:
        return Judgement(alarm=True, why=_line(str(e)))
    return Judgement(alarm=False)


class Polygraphy:
    """Its command, with golden outputs of each base's known-good file on the base's samples."""

    def __init__(self, executable: Path) -> None:
        self.executable = executable
        self.lint_of_good: dict[str, set[str]] = {}

    def version(self) -> str:
        told = _call([self.executable, "--version"]).stdout
        return next(iter(re.findall(r"Version: (\S+)", told)), "unknown")

    def record(self, base: Base) -> None:
        """Golden inputs and outputs of the known-good file, by Polygraphy itself."""
        import numpy as np

        folder = base.folder
        np.savez(folder / "samples.npz", **base.samples)  # type: ignore[arg-type]  # as in bases
        loader = folder / "samples.py"
        loader.write_text(
            "import numpy\n\n\ndef load_data():\n"
            f"    yield dict(numpy.load({str((folder / 'samples.npz').resolve())!r}))\n"
        )
        for name in ("inputs.json", "outputs.json"):
            (folder / name).unlink(missing_ok=True)
        words = ["--onnxrt", "--data-loader-script", loader]
        words += [
            "--save-inputs",
            folder / "inputs.json",
            "--save-outputs",
            folder / "outputs.json",
        ]
        done = _call([self.executable, "run", base.good, *words])
        if done.returncode:
            raise RuntimeError(f"polygraphy fails on {base.good}: {done.stdout[-2000:]}")
        self.lint_of_good[base.name] = self._lint_lines(base.good)[1]

    def run(self, path: Path, base: Base, atol: float | None = None) -> Judgement:
        """`polygraphy run --onnxrt` against the golden outputs: default tolerance, or `atol`."""
        words = ["--onnxrt", "--load-inputs", base.folder / "inputs.json"]
        words += ["--load-outputs", base.folder / "outputs.json"]
        if atol is not None:
            words += ["--atol", f"{atol:g}", "--rtol", "0"]
        done = _call([self.executable, "run", path, *words])
        if not done.returncode:
            return Judgement(alarm=False)
        apart = apart_in(done.stdout)
        why = f"apart by {apart:.3g}" if apart else _error_in(done.stdout)
        return Judgement(alarm=True, why=why)

    def apart(self, path: Path, base: Base) -> float:
        """The absolute tolerance that `path` needs against the golden outputs."""
        words = ["--onnxrt", "--load-inputs", base.folder / "inputs.json"]
        words += ["--load-outputs", base.folder / "outputs.json"]
        return apart_in(_call([self.executable, "run", path, *words]).stdout)

    def lint(self, path: Path, base: Base) -> Judgement:
        """`polygraphy check lint`: a failure, or a remark that the known-good file does not get."""
        failed, lines = self._lint_lines(path)
        fresh = sorted(lines - self.lint_of_good.get(base.name, set()))
        if failed or fresh:
            return Judgement(alarm=True, why=_line(fresh[0]) if fresh else "fails")
        return Judgement(alarm=False)

    def _lint_lines(self, path: Path) -> tuple[bool, set[str]]:
        done = _call([self.executable, "check", "lint", path])
        told = done.stdout.splitlines()
        lines = {line.split("LINT |", 1)[1].strip() for line in told if "LINT |" in line}
        return bool(done.returncode), lines


class Edgestill:
    """Its command, with the contract that `--init` writes of each base's known-good file."""

    def __init__(self) -> None:
        self.executable = Path(sys.executable).with_name("edgestill")

    def write_contract(self, base: Base) -> Path:
        contract = base.folder / "contract.toml"
        contract.unlink(missing_ok=True)
        words = ["--init", "--reference", base.reference, "--contract", contract]
        words += ["--target", base.target] if base.target else []
        done = _call([self.executable, "check", base.good, *words])
        if done.returncode or not contract.is_file():
            raise RuntimeError(
                f"edgestill check --init fails on {base.good}: {done.stdout[-2000:]}"
            )
        return contract

    def judge(self, path: Path, base: Base) -> Judgement:
        """The lines that fail, by the exit code and the JSON of the command."""
        told = path.parent / f"{path.stem}.check.json"
        told.unlink(missing_ok=True)
        contract = base.folder / "contract.toml"
        done = _call([self.executable, "check", path, "--contract", contract, "--json", told])
        if done.returncode not in (0, 1, 2):
            raise RuntimeError(f"edgestill ends with {done.returncode} on {path}:\n{done.stdout}")
        if done.returncode == 2 or not told.is_file():
            return Judgement(alarm=True, why=f"exit 2: {_line(done.stdout)}")
        report = json.loads(told.read_text())
        lines = [x["name"] for x in report["lines"] if x["verdict"] in ("fail", "error")]
        if not lines and not report["ok"]:
            lines = [_line(str(report["verdict"]))]
        assert report["ok"] == (done.returncode == 0)
        return Judgement(alarm=not report["ok"], why=", ".join(lines))


def apart_in(told: str) -> float:
    """The largest absolute tolerance that Polygraphy says an output needs; 0 if it says none."""
    found = re.findall(r"elemwise error \| \[abs=([0-9.e+-]+|nan|inf)\]", told)
    return max((float(x) for x in found), default=0.0)


def rounded_up(value: float) -> float:
    """The next of 1, 2, 5, 10 ...

    >>> rounded_up(0.013)
    0.02
    """
    power = 10.0 ** math.floor(math.log10(value))
    return next(round(step * power, 12) for step in (1, 2, 5, 10) if step * power >= value)


def _call(words: list[object]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )


def _error_in(told: str) -> str:
    lines = [line for line in told.splitlines() if line.startswith(("[E]", "[!]"))]
    return _line(lines[0] if lines else told[-300:])


def _line(text: str) -> str:
    return " ".join(text.split())[:160]
