"""What `edgestill probe` shows of every fake board and of hosts, and the remedies it names."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgestill.deploy.agent.board import board
from edgestill.deploy.wire_board import Board
from edgestill.pipeline.probe_command import described, probe_command, remedies

from ..deploy.fake_boards import BOARDS, write


@pytest.fixture
def orin(tmp_path: Path) -> dict[str, Any]:
    return board(write(BOARDS["orin-nano-super"], tmp_path / "root"), machine="aarch64")


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_is_shown_with_what_it_is_and_how_it_is_set(tmp_path: Path, name: str) -> None:
    truth = BOARDS[name]
    root = write(truth, tmp_path / "root")

    text = described(board(root, machine="aarch64"))

    assert text.startswith(truth.model + "\n")
    for words in (
        f"Jetson {truth.module}",
        f"{truth.l4t}, JetPack {truth.jetpack}",
        f"{truth.sm_count} SMs",
        f"{truth.current.name} ({truth.mode}); it knows",
        f"to {truth.current.gpu_hz / 1e6:g} MHz, not locked",
        "PWM 80 of 255, 2100 rpm",
        "sudo jetson_clocks",
    ):
        assert words in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_locked_clocks_need_no_remedy(tmp_path: Path) -> None:
    root = write(BOARDS["agx-orin"], tmp_path / "root")
    subprocess.run([root / "usr/bin/jetson_clocks"], check=True)

    found = board(root, machine="aarch64")

    assert "cpu0-11       2201.6 to 2201.6 MHz, locked, now 2201.6" in described(found)
    assert not any("jetson_clocks" in remedy for remedy in remedies(found))


def test_what_could_not_be_read_stands_with_its_reason(orin: dict[str, Any]) -> None:
    lines = described(orin).splitlines()

    after = lines[lines.index("not read") :]
    assert any("/thermal_zone2/temp" in line and "Is a directory" in line for line in after)


def test_heat_throttling_and_missing_engines_have_remedies(orin: dict[str, Any]) -> None:
    conditions = orin["conditions"]
    conditions["thermal"] = [{"name": "tj-thermal", "celsius": 95.5}]
    conditions["cooling"][1]["state"] = 1
    orin["engines"] = dict.fromkeys(orin["engines"])
    orin["unread"]["/sys/kernel/debug/bpmp/debug/clk/emc/rate"] = "Permission denied"

    text = "\n".join(remedies(orin))

    for words in (
        "tj-thermal is at 96 °C",
        "cpu-throttle-alert slows the board down",
        "as root",
        "python3 -m pip install onnxruntime",
        "--system-site-packages",
    ):
        assert words in text


def test_a_host_is_told_its_governor_and_no_jetson_remedy(tmp_path: Path) -> None:
    folder = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    folder.mkdir(parents=True)
    (folder / "scaling_governor").write_text("powersave\n")

    found = board(tmp_path, machine="x86_64")
    text = described(found)

    assert text.startswith("an unnamed x86_64 machine\n")
    assert "cpupower frequency-set" in text
    assert "jetson_clocks" not in text


def test_a_desktop_gpu_is_shown_and_what_holds_it_back(tmp_path: Path) -> None:
    found = board(tmp_path, machine="x86_64")
    found["conditions"]["gpu"] = {
        "name": "NVIDIA H100",
        "clock_mhz": 1980.0,
        "memory_clock_mhz": None,
        "celsius": 40.0,
        "throttle_reasons": ["power cap"],
        "power_limit_mw": 700_000.0,
    }
    Board.model_validate(found)

    text = described(found)

    assert "NVIDIA H100" in text
    assert "1980 MHz, 40.0 °C" in text
    assert "held back (power cap)" in text


def test_a_boards_words_cannot_steer_the_terminal(orin: dict[str, Any]) -> None:
    orin["device"] = "board\x1b[2J\r\x07"

    assert described(orin).splitlines()[0] == "board?[2J??"


def test_json_is_the_board_as_the_agent_told_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, orin: dict[str, Any]
) -> None:
    monkeypatch.setattr("edgestill.deploy.session.probe", lambda target: {**orin, "on": target})

    probe_command("ssh://board", as_json=True)

    assert json.loads(capsys.readouterr().out) == {**orin, "on": "ssh://board"}


def test_people_get_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, orin: dict[str, Any]
) -> None:
    monkeypatch.setattr("edgestill.deploy.session.probe", lambda target: orin)

    probe_command("local", as_json=False)

    assert capsys.readouterr().out == described(orin) + "\n"
