"""Inference on an emulated machine: what goes in, and that nothing which comes out is trusted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgestill.export.arm64 import Arm64, EmulatorFault
from edgestill.export.arm64_root import Arm64Root
from edgestill.export.runtime import infer, open_session, signature
from edgestill.models.errors import BadInput

Write = Callable[..., Path]
Machine = Callable[..., Arm64Root]
Images = NDArray[np.float32]

# As if the machine had answered: the fourth word is the file for the logits.
ANSWERS = f"""echo '{{{{}}}}'; {sys.executable} -c "import numpy; numpy.save('$4', {{}})\""""


def on(files: Arm64Root, model: Path, images: Images, timeout_s: float = 60) -> NDArray[np.float32]:
    takes = signature(open_session(model))
    return Arm64(files=files, timeout_s=timeout_s).infer(model, images, takes=takes, classes=5)


def test_the_logits_are_those_of_onnx_runtime(
    good: Path, images: Images, machine: Machine, tmp_path: Path
) -> None:
    found = on(machine(tmp_path / "m"), good, images)

    assert np.array_equal(found, infer(open_session(good), images, batch=1))


def test_a_fixed_batch_is_filled_up_and_the_filling_dropped(
    write_classifier: Write, images: Images, machine: Machine, tmp_path: Path
) -> None:
    by_eight = write_classifier("eight", batch=8)

    found = on(machine(tmp_path / "m"), by_eight, images[:13])

    assert np.array_equal(found, infer(open_session(by_eight), images[:13]))


def test_the_emulator_is_told_processor_root_and_packages(
    good: Path, images: Images, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = machine(tmp_path / "m")
    script = files.qemu.read_text().splitlines()
    heard = tmp_path / "heard"
    files.qemu.write_text(
        "\n".join([script[0], f'echo "$@" > {heard}; env >> {heard}', *script[1:]])
    )
    monkeypatch.setenv("PYTHONPATH", "/of/the/host")

    on(files, good, images[:1])

    words = heard.read_text()
    assert words.startswith(f"-cpu cortex-a76 -L {files.root} -E PYTHONHOME={files.root}/usr")
    assert f"PYTHONPATH={files.site}" in words
    assert f"{files.root}/usr/bin/python3.13 -s" in words
    assert "/of/the/host" not in words


def test_a_model_that_is_refused_there_is_the_models_fault(
    good: Path, images: Images, machine: Machine, tmp_path: Path
) -> None:
    refuses = """echo '{"error": "Unsupported model IR version: 99"}'; exit 1"""

    with pytest.raises(BadInput, match="Unsupported model IR version: 99"):
        on(machine(tmp_path / "m", refuses), good, images)


def test_a_crash_names_the_emulator_its_last_words_and_the_way_out(
    good: Path, images: Images, machine: Machine, tmp_path: Path
) -> None:
    crashes = "echo 'qemu: uncaught target signal 11' >&2; exit 139"

    with pytest.raises(EmulatorFault, match=rf"139\): qemu: uncaught.*remove {tmp_path}/m"):
        on(machine(tmp_path / "m", crashes), good, images)


def test_a_machine_that_does_not_answer_is_left(
    good: Path, images: Images, machine: Machine, tmp_path: Path
) -> None:
    with pytest.raises(EmulatorFault, match=r"within 0\.5 s; give fewer or smaller images"):
        on(machine(tmp_path / "m", "exec sleep 60"), good, images, timeout_s=0.5)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("numpy.zeros((64, 1, 4), 'f')", r"float32 of shape \(64, 1, 4\)"),
        ("numpy.zeros((64, 5), 'f')", r"float32 of shape \(64, 5\)"),
        ("numpy.zeros((64, 1, 5), 'i')", "gave int32"),
        ("numpy.array([{}], dtype=object), allow_pickle=True", "left no logits"),
    ],
)
def test_what_is_not_the_logits_asked_for_is_refused(
    answer: str, complaint: str, good: Path, images: Images, machine: Machine, tmp_path: Path
) -> None:
    wrong = machine(tmp_path / "m", ANSWERS.format(answer))

    with pytest.raises(EmulatorFault, match=complaint):
        on(wrong, good, images)


def test_no_answer_at_all_is_told(
    good: Path, images: Images, machine: Machine, tmp_path: Path
) -> None:
    with pytest.raises(EmulatorFault, match="left no logits"):
        on(machine(tmp_path / "m", "echo '{}'"), good, images)
