"""What the tests of a sweep share: runs and figures without the work behind them."""

from __future__ import annotations

from edgestill.pipeline.sweep_results import Figures, Run, Sweep

TIMED = "a machine, onnxruntime 1, batch 1, 1 thread"


def figures(
    top1: float | None = 0.9,
    *,
    macs: int | None = 1_000_000,
    latency_ms: float | None = 1.0,
    weight_bytes: int = 20_000,
    teacher: str = "t0",
    timed: str = TIMED,
    met: bool | None = True,
) -> Figures:
    """A run that came to its report."""
    return Figures(
        stages={"teacher": {"key": teacher, "status": "ran", "seconds": 1.0}},
        held_out_images=1000,
        top1={"teacher": 0.95, "student": 0.91, "ort-x86": top1},
        macs=macs,
        params=20_000,
        weight_bytes={"teacher": 400_000, "student": 80_000, "ort-x86": weight_bytes},
        latency_ms={"teacher": 3.0, "student": 2.0, "ort-x86": latency_ms},
        timed={"ort-x86": timed},
        energy_mj={"ort-x86": None},
        budget={"macs": {"limit": 2_000_000, "value": macs, "met": met}},
        budget_met=met,
    )


def done(name: str, overrides: dict[str, str], of: Figures) -> Run:
    """A finished run."""
    return Run(name=name, overrides=overrides, status="done", exit_code=0, figures=of)


def two_budgets_three_seeds() -> Sweep:
    """5M and 15M, each with the seeds 0, 1, 2; the larger is better and slower."""
    runs = [
        done(
            f"digits-macs-{macs}-seed-{seed}",
            {"budget.macs": macs, "seed": str(seed)},
            figures(base + 0.01 * seed, macs=cost, latency_ms=cost / 5e6, teacher=f"t{seed}"),
        )
        for macs, base, cost in (("5M", 0.80, 5_000_000), ("15M", 0.90, 15_000_000))
        for seed in range(3)
    ]
    return Sweep(name="digits", over=("budget.macs", "seed"), runs=tuple(runs), status="finished")
