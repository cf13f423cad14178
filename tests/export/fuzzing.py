"""How the checks of damaged files end, each with its original as reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgestill.export.check_child import CheckWorker
from edgestill.export.check_limits import Limits
from edgestill.export.check_report import CheckReport
from edgestill.export.contract import Contract, ParityLimits
from edgestill.export.ports import ports, run_samples
from edgestill.export.runtime import open_session
from edgestill.models.errors import BadInput

from .mutations import mutated

# As a CI would hold a file to the one of yesterday: 1 % is what kernels may round otherwise.
CONTRACT = Contract(parity=ParityLimits(relative=0.01))
LIMITS = Limits(memory_bytes=2 << 30, timeout_s=60.0)


@dataclass(frozen=True, kw_only=True)
class End:
    """How the check of one damaged file ended."""

    original: str
    seed: int
    how: str
    """The damage, by the names of its functions."""
    same: bool
    """The damage left every byte as it was."""
    report: CheckReport | None
    says: str
    """What was said instead of a report."""
    apart: float | None
    """Of a file that passed: its distance from its original, as `distance` says."""
    seconds: float
    resident_bytes: int

    @property
    def kind(self) -> str:
        if self.report is None:
            return "bad input"
        if self.report.ok:
            return "passed"
        return "failed, the child ended" if self.crashed else "failed"

    @property
    def crashed(self) -> bool:
        lines = () if self.report is None else self.report.lines
        return any("the process that checked" in line.why for line in lines)


def ends(originals: Sequence[Path], seeds: Sequence[int], folder: Path) -> Iterator[End]:
    """The end of each check; seed i damages the original i modulo their number."""
    data = {path: path.read_bytes() for path in originals}
    with CheckWorker() as worker:
        for seed in seeds:
            original = originals[seed % len(originals)]
            mutation = mutated(data[original], seed)
            path = folder / "damaged.onnx"
            path.write_bytes(mutation.data)
            report, says = None, ""
            try:
                report = worker.check(path, contract=CONTRACT, reference=original, limits=LIMITS)
            except BadInput as error:
                says = str(error)
            used = worker.used
            yield End(
                original=original.name,
                seed=seed,
                how=mutation.how,
                same=mutation.data == data[original],
                report=report,
                says=says,
                apart=distance(path, original, report.target) if report and report.ok else None,
                seconds=used.seconds if used else float("inf"),
                resident_bytes=used.resident_bytes if used else 0,
            )


def distance(path: Path, original: Path, target: str | None) -> float:
    """Largest difference of the outputs for inputs that no check draws, over the largest output;
    infinite where it does not give them.
    """
    theirs = open_session(original, target=target)
    (port,) = ports(theirs).inputs
    shape = (16, *[size if isinstance(size, int) else 1 for size in port.shape[1:]])
    samples = np.random.default_rng(987).standard_normal(shape).astype(port.dtype)
    wanted = run_samples(theirs, {port.name: samples})
    try:
        got = run_samples(open_session(path, target=target), {port.name: samples})
    except BadInput:
        return float("inf")
    if [(name, a.shape) for name, a in got.items()] != [(n, a.shape) for n, a in wanted.items()]:
        return float("inf")
    apart = max(
        float(np.abs(got[name] - wanted[name]).max() / np.abs(wanted[name]).max())
        if np.isfinite(got[name]).all()  # NaN is less than nothing, and no output either
        else float("inf")
        for name in wanted
    )
    assert apart >= 0, "the original gives no finite outputs"
    return apart


def table(found: Sequence[End]) -> str:
    """Counts, the slowest, the largest and what stands out."""
    rows = [f"{count:6} {kind}" for kind, count in Counter(e.kind for e in found).most_common()]
    lines: Counter[str] = Counter()
    for end in found:
        if end.report is not None:
            first = next((x for x in end.report.lines if x.verdict in ("fail", "error")), None)
            lines[f"{first.name} ({first.verdict})" if first else "no line"] += 1
    rows += ["first line that was not a pass:"]
    rows += [f"{count:6} {name}" for name, count in lines.most_common()]
    slow = max(found, key=lambda end: end.seconds)
    large = max(found, key=lambda end: end.resident_bytes)
    rows += [f"slowest {slow.seconds:.2f} s (seed {slow.seed}, {slow.how})"]
    rows += [f"largest {large.resident_bytes / 1e6:.0f} MB (seed {large.seed}, {large.how})"]
    far = [end for end in found if end.apart is not None and not end.same]
    rows += [f"{len(far)} damaged files passed; the furthest from their originals:"]
    for end in sorted(far, key=lambda end: -(end.apart or 0.0))[:10]:
        rows.append(f"  {end.apart:.3g} {end.original} seed {end.seed} {end.how}")
    return "\n".join(rows)
