"""`edgestill devices`: every device with its figures, for people and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edgestill.deploy.measured_rows import fitted_rows
from edgestill.deploy.power_modes import device_named, devices
from edgestill.pipeline.cli_devices import devices as devices_word
from edgestill.pipeline.devices_command import COLUMNS, devices_command


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    devices_command(True)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_people_see_every_device_and_what_is_unverified(capsys: pytest.CaptureFixture[str]) -> None:
    devices_command(False)

    out = capsys.readouterr().out
    for words in (*COLUMNS, "agx-xavier", "MAXN", "orin-nano-8gb", "not documented here"):
        assert words in out
    lines = out.splitlines()
    for device in devices():
        module, mode = device.name.split("@")
        # In one piece on one line, to be copied.
        assert any(f" {module} " in line and f" {mode} " in line for line in lines)
    line = next(line for line in lines if "xavier-nx" in line and "15W" in line)
    assert "1100" in line
    assert "13.5" in line
    assert "clock, memory" in line


def test_json_names_every_device_as_it_is_asked_for(told: dict[str, Any]) -> None:
    assert [each["name"] for each in told["devices"]] == [device.name for device in devices()]
    for each in told["devices"]:
        device = device_named(each["name"])
        assert each["sm_count"] == device.mode.sm_count
        assert each["int8_tops"] == device.int8_tops
        assert each["unverified"] == list(device.unverified)
        assert each["source"]


def test_the_rows_behind_the_estimate_are_counted(told: dict[str, Any]) -> None:
    assert sum(each["measured_rows"] for each in told["devices"]) == len(fitted_rows())
    assert told["estimate"]["count"]["rows"] == len(fitted_rows())
    assert told["estimate"]["factor_68"] < told["estimate"]["factor_90"]
    assert "not known" in told["estimate"]["energy"]


def test_the_word_takes_json() -> None:
    app = typer.Typer()
    app.command()(devices_word)

    result = CliRunner().invoke(app, ["--json"])

    assert result.exit_code == 0
    assert json.loads(result.stdout)["devices"]
