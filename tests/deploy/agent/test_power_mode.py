"""The power mode, as nvpmodel tells it or its state file; every board's modes by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent.files import Files
from edgestill.deploy.agent.power_mode import parse_query, power_mode, power_modes, tpc_mask
from edgestill.deploy.agent.programs import Programs

from ..fake_boards import BOARDS

FakeBoards: TypeAlias = Callable[..., Path]
MODES = [{"id": 0, "name": "MAXN"}, {"id": 2, "name": "MODE_15W"}]


@pytest.mark.parametrize("name", BOARDS)
def test_current_and_known_modes_are_those_of_the_board(fake_board: FakeBoards, name: str) -> None:
    root = fake_board(name)
    files = Files(root)

    mode = power_mode(files, Programs(root))

    assert mode == {"id": BOARDS[name].mode, "name": BOARDS[name].current.name}
    assert power_modes(files) == [{"id": m.id, "name": m.name} for m in BOARDS[name].modes]
    assert tpc_mask(files, mode) == BOARDS[name].current.tpc_mask


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: MAXN\n0\n", {"id": 0, "name": "MAXN"}),
        ("NV Power Mode: MAXN_SUPER\n2", {"id": 2, "name": "MAXN_SUPER"}),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: 15W\n0\n", {"id": 0, "name": "15W"}),
        (
            "NVPM VERB: POWER_MODEL: ID=0 NAME=MAXN\nNVPM VERB: PM_CONFIG: DEFAULT=MODE_15W(2)\n"
            "NV Power Mode: MODE_15W\nNVPM VERB: one more\n2\n",
            {"id": 2, "name": "MODE_15W"},
        ),
        ("NV Power Mode: MODE_15W\n", {"id": 2, "name": "MODE_15W"}),  # the id by the name
        ("NV Power Mode: OTHER\n", None),
        ("NV Power Mode: \n", None),
        ("NVPM ERROR: need root\n", None),
        ("", None),
    ],
)
def test_every_form_of_the_answer_is_read(text: str, mode: dict[str, object] | None) -> None:
    assert parse_query(text, MODES) == mode


def test_what_only_root_may_ask_is_asked_through_sudo(
    fake_board: FakeBoards, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board("agx-orin-jp7")
    program = root / "usr/sbin/nvpmodel"
    program.rename(program.with_name("real"))
    program.write_text(
        '#!/bin/sh\n[ -n "$AS_ROOT" ] && { echo "NV Power Mode: MODE_30W"; echo 2; exit 0; }\n'
        "echo 'NVPM ERROR: need root' >&2; exit 1\n"
    )
    program.chmod(0o755)
    sudo = root / "usr/bin/sudo"
    sudo.write_text('#!/bin/sh\n[ "$1" = -n ] || exit 1\nshift\nAS_ROOT=1 exec "$@"\n')
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    mode = power_mode(Files(root), Programs(root))

    assert mode == {"id": 2, "name": "MODE_30W"}


@pytest.mark.parametrize("sudo", ["grants", "refuses", "absent"])
def test_where_nvpmodel_fails_its_state_file_tells(fake_board: FakeBoards, sudo: str) -> None:
    root = fake_board("orin-nano-super", sudo=sudo)
    (root / "usr/sbin/nvpmodel").write_text("#!/bin/sh\nexit 1\n")

    assert power_mode(Files(root), Programs(root)) == {"id": 1, "name": "25W"}


@pytest.mark.parametrize("status", ["", "pmode:\n", "nonsense\n", "pmode:0099\n"])
def test_a_mode_that_cannot_be_read_is_none_with_its_reason(
    fake_board: FakeBoards, status: str
) -> None:
    root = fake_board("orin-nano-super")
    (root / "usr/sbin/nvpmodel").write_text("#!/bin/sh\necho no daemon >&2\nexit 1\n")
    (root / "var/lib/nvpmodel/status").write_text(status)
    files = Files(root)

    assert power_mode(files, Programs(root)) is None
    assert files.unread["power_mode"] == "nvpmodel -q: no daemon"


def test_a_machine_without_power_modes_has_none_and_no_complaint(tmp_path: Path) -> None:
    files = Files(tmp_path)

    assert power_mode(files, Programs(tmp_path)) is None
    assert (power_modes(files), files.unread) == ([], {})
