"""A whole run through the real command: what it leaves, reuses, repairs and refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgestill.pipeline.flow import FLOW
from edgestill.pipeline.manifest import FILE, verify

STAGES = [stage.name for stage in FLOW]
SUMMARY = {
    "recipe", "stages", "accuracy", "cost", "budget", "latency_ms", "energy_mj", "energy_source",
    "fusion", "artifacts",
}  # fmt: skip
LEFT = {
    "teacher": {"teacher.safetensors", "teacher.json", "data.json", "history.json"},
    "search": {"student.json", "candidates.json"},
    "shortlist": {"student.json", "candidates.json"},
    "distill": {"student.safetensors", "student.json", "history.json"},
    "quantize": {"student_int8.safetensors", "quantized.json", "ranges.json", "history.json"},
    "export": {
        "model.fp32.onnx", "model.tensorrt.onnx", "model.ort-x86.onnx", "model.ort-arm64.onnx",
        "teacher.fp32.onnx", "fusion.json", "export.json", "model.tensorrt.plan.json",
    },
    "check": {"check.json"},
    "profile": {"measurements.json", "board.json"},
    "report": {"report.html", "report.md", "summary.json", "graphs.json"},
}  # fmt: skip

Edgestill = Callable[..., Any]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_leaves_its_artifact(finished: Path, stage: str) -> None:
    manifest = verify(finished / "runs/smoke" / stage)

    assert set(manifest.files) == LEFT[stage]


def test_the_summary_has_the_keys_that_others_read(finished: Path) -> None:
    summary = json.loads((finished / "runs/smoke/summary.json").read_text())

    assert summary.keys() >= SUMMARY
    assert list(summary["stages"]) == STAGES
    assert summary["cost"]["macs"] <= summary["budget"]["macs"]["limit"] == 900_000
    assert set(summary["accuracy"]["int8"]) == {"tensorrt", "ort-x86", "ort-arm64"}


def test_the_networks_learned_and_int8_kept_it(finished: Path) -> None:
    accuracy = json.loads((finished / "runs/smoke/summary.json").read_text())["accuracy"]

    assert accuracy["teacher"] > 0.9
    assert accuracy["student"] > 0.8
    assert all(share > accuracy["student"] - 0.05 for share in accuracy["int8"].values())


def test_latency_is_measured_here_and_null_where_it_cannot_be(finished: Path) -> None:
    told = json.loads((finished / "runs/smoke/profile/measurements.json").read_text())
    measured = told["targets"]["local"]["files"]
    summary = json.loads((finished / "runs/smoke/summary.json").read_text())

    assert all(len(each["samples_ms"]) == each["runs"] >= 200 for each in measured.values())
    assert summary["latency_ms"]["student"]["p50"] > 0
    assert summary["latency_ms"]["tensorrt"] is None
    assert "TensorRT" in summary["not_measured"]["latency_ms.tensorrt"]


def test_the_journal_has_every_epoch_and_no_progress(finished: Path) -> None:
    lines = [json.loads(line) for line in _lines(finished / "runs/smoke/events.jsonl")]

    epochs = [(line["label"], line["epoch"]) for line in lines if line["event"] == "epoch"]
    assert epochs == [("teacher", 1), ("teacher", 2), ("teacher", 3), ("teacher", 4),
                      ("distill", 1), ("distill", 2), ("distill", 3), ("quantize", 1)]  # fmt: skip
    assert not [line for line in lines if line["event"] == "progress"]


def test_a_second_run_reuses_everything(finished: Path, edgestill: Edgestill) -> None:
    again = edgestill("run", "smoke", "--workdir", finished, cwd=finished.parent)

    stages = [line.split()[:2] for line in again.stderr.splitlines()]
    assert stages == [[name, "reuse"] for name in STAGES]
    assert re.search(r"report: .*report\.html", again.stdout)


def test_a_run_in_which_all_is_reused_loads_no_heavy_package(finished: Path) -> None:
    code = (
        "import sys, edgestill.pipeline.cli as cli\n"
        "sys.argv = ['edgestill', 'run', 'smoke', '--workdir', sys.argv[1]]\n"
        "try: cli.main()\n"
        "except SystemExit as ended: print(ended.code, *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(finished)], capture_output=True, text=True, check=True
    )

    exit_code, *loaded = done.stdout.splitlines()[-1].split()
    assert exit_code == "0"
    assert not {"torch", "onnx", "onnxruntime", "sklearn", "pyarrow", "matplotlib"} & set(loaded)


def test_under_json_stdout_is_the_summary_and_nothing_else(
    finished: Path, edgestill: Edgestill
) -> None:
    again = edgestill("run", "smoke", "--workdir", finished, "--json", cwd=finished.parent)

    summary = json.loads(again.stdout)
    assert {each["status"] for each in summary["stages"].values()} == {"reused"}


def flip(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:10])


DAMAGE: dict[str, tuple[Callable[[Path], object], str | None, str]] = {
    "a byte flipped": (flip, None, "not the bytes that were written"),
    "a file cut short": (cut, None, "10 bytes, not"),
    "the manifest deleted": (Path.unlink, FILE, "missing"),
}


@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(tuple(DAMAGE), id="in turn"),
        *(pytest.param((kind,), id=kind, marks=pytest.mark.long) for kind in DAMAGE),
    ],
)
def test_damage_to_every_artifact_is_named_set_aside_and_made_good(
    finished_copy: Path, edgestill: Edgestill, kinds: tuple[str, ...]
) -> None:
    links = {stage: finished_copy / "runs/smoke" / stage for stage in STAGES}
    folders = {stage: link.resolve() for stage, link in links.items()}
    whole = {
        stage: verify(folder).content if stage != "report" else ""
        for stage, folder in folders.items()
    }
    hurt: dict[str, tuple[str, str]] = {}
    for number, (stage, folder) in enumerate(folders.items()):
        damage, name, said = DAMAGE[kinds[number % len(kinds)]]
        hurt[stage] = (name or max(LEFT[stage]), said)
        damage(folder / hurt[stage][0])

    again = edgestill("run", "smoke", "--workdir", finished_copy, cwd=finished_copy.parent)

    assert again.returncode == 0, again.stderr
    for stage, folder in folders.items():
        if stage == "report":  # its inputs are measured anew, so it is another report
            continue
        file, said = hurt[stage]
        assert re.search(rf"^{stage} +run +damaged: {re.escape(file)}: {said}", again.stderr, re.M)
        assert (folder.parent / f"{folder.name}.damaged-1").is_dir()
        made = verify(links[stage].resolve())
        assert made.content == whole[stage] or stage == "profile"


def test_only_what_is_damaged_is_made_again(finished_copy: Path, edgestill: Edgestill) -> None:
    flip(finished_copy / "runs/smoke/teacher/teacher.safetensors")

    again = edgestill("run", "smoke", "--workdir", finished_copy, cwd=finished_copy.parent)

    outcomes = re.findall(r"^(\w+) +(run|reuse) ", again.stderr, re.M)
    assert outcomes == [(name, "run" if name == "teacher" else "reuse") for name in STAGES]


def test_a_check_that_fails_ends_with_exit_code_1_and_a_report(
    finished_copy: Path, edgestill: Edgestill
) -> None:
    words = ("run", "smoke", "--workdir", finished_copy, "--set", "check.int8_fraction=1.0")
    change = ("--set", "export.targets=['ort-x86']", "--set", "check.top1_drop=0.0")
    ranges = finished_copy / "runs/smoke/quantize/ranges.json"
    assert ranges.exists()

    done = edgestill(*words, *change, "--set", "quantize.lr=0.5", "--set",
                     "quantize.clip_norm=1.0", cwd=finished_copy.parent)  # fmt: skip

    assert done.returncode == 1
    (told,) = (each for each in done.stderr.splitlines() if "the check failed" in each)
    assert "ort-x86: top1_drop" in told
    assert (finished_copy / "runs/smoke/report.html").exists()


def test_a_budget_that_nothing_fits_ends_with_exit_code_1(
    finished_copy: Path, edgestill: Edgestill
) -> None:
    done = edgestill("run", "smoke", "--workdir", finished_copy, "--set", "budget.macs=1k",
                     cwd=finished_copy.parent)  # fmt: skip

    assert done.returncode == 1
    assert "budget.macs = 1,000 binds" in done.stderr
    assert "Traceback" not in done.stderr


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
