"""A power mode and locked clocks on fake boards: set as asked, verified, and all set back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent import guard
from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.programs import Programs
from edgestill.deploy.agent.restore import read_record
from edgestill.deploy.agent.settings import Settings, restore_leftover

from ..fake_boards import BOARDS
from .set_boards import calls, limits, mode, put_back, replace

FakeBoards: TypeAlias = Callable[..., Path]
SetUp: TypeAlias = Callable[[Path], Settings]
NANO = "orin-nano-super"  # in 25W (1); 15W (0), MAXN_SUPER (2); 7W (3) asks for a reboot
NOT_ROOT = "import os; os.geteuid = lambda: 1000; "  # so that the guardian needs sudo


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def settings(state: Path) -> SetUp:
    return lambda root: Settings(Programs(root), root, state)


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_is_set_and_then_is_as_it_was_found(
    fake_board: FakeBoards, settings: SetUp, name: str
) -> None:
    root, board = fake_board(name), BOARDS[name]
    found = limits(root)
    others = [each for each in board.modes if each != board.current]
    # Another mask of the GPU asks for a reboot; two boards have no other mode with theirs.
    same_mask = [each for each in others if each.tpc_mask == board.current.tpc_mask]
    wanted = same_mask[0] if same_mask else board.current

    with settings(root).applied(wanted.name, lock_clocks=True) as what:
        at_work = mode(root), {name: (top, locked) for name, _, top, locked in limits(root)}

    move = {
        "from": {"id": board.mode, "name": board.current.name},
        "to": {"id": wanted.id, "name": wanted.name},
    }
    assert what == {"power_mode": move if same_mask else None, "clocks_locked": True}
    assert at_work[0] == wanted.id
    assert at_work[1]["gpu"] == (wanted.gpu_hz / 1e6, True)
    assert all(locked for _, locked in at_work[1].values())
    assert (mode(root), limits(root)) == (board.mode, found)


def test_the_mode_comes_before_the_lock_and_goes_after_it(
    fake_board: FakeBoards, settings: SetUp, state: Path
) -> None:
    root = fake_board(NANO)

    with settings(root).applied("maxn_super", lock_clocks=True):
        to_set = calls(root)

    assert to_set == ["nvpmodel -m 2", "jetson_clocks --store", "jetson_clocks"]
    assert calls(root)[3:] == ["jetson_clocks --restore", "nvpmodel -m 1"]
    assert list((state / "board").iterdir()) == []


@pytest.mark.parametrize(("wanted", "at_work"), [("15W", 0), (None, 1)])
def test_the_record_has_the_mode_it_is_measured_in_and_the_boot(
    fake_board: FakeBoards, settings: SetUp, state: Path, wanted: str | None, at_work: int
) -> None:
    root = fake_board(NANO)
    path = root / "proc/sys/kernel/random/boot_id"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("boot-1\n")

    with settings(root).applied(wanted, lock_clocks=True):
        record = read_record(state / "board/restore.json")

    assert (record.mode, record.boot) == (at_work, "boot-1")


def test_a_mode_may_be_given_by_its_number(fake_board: FakeBoards, settings: SetUp) -> None:
    root = fake_board(NANO)

    with settings(root).applied("0", lock_clocks=False) as what:
        assert mode(root) == 0

    assert what["power_mode"]["to"] == {"id": 0, "name": "15W"}
    assert not what["clocks_locked"]
    assert calls(root) == ["nvpmodel -m 0", "nvpmodel -m 1"]


def test_what_is_as_wanted_is_neither_set_nor_set_back(
    fake_board: FakeBoards, settings: SetUp, state: Path
) -> None:
    root = fake_board(NANO)
    Programs(root).run("jetson_clocks")

    with settings(root).applied("25W", lock_clocks=True) as what:
        pass

    assert what == {"power_mode": None, "clocks_locked": True}
    assert calls(root) == ["jetson_clocks"]
    assert not state.exists()


def test_clocks_that_had_been_locked_are_locked_again_in_their_own_mode(
    fake_board: FakeBoards, settings: SetUp
) -> None:
    root = fake_board(NANO)
    Programs(root).run("jetson_clocks")
    found = limits(root)

    with settings(root).applied("15W", lock_clocks=True):
        gpu = next(each for each in limits(root) if each[0] == "gpu")

    assert gpu == ("gpu", 612.0, 612.0, True)
    assert (mode(root), limits(root)) == (1, found)


def test_an_unknown_mode_is_refused_with_those_that_are_known(
    fake_board: FakeBoards, settings: SetUp
) -> None:
    root = fake_board(NANO)

    with (
        pytest.raises(AgentError, match=r"'10W'.*known: 15W, 25W, MAXN_SUPER, 7W$") as refused,
        settings(root).applied("10W", lock_clocks=False),
    ):
        pass

    assert refused.value.kind == "request"
    assert calls(root) == []


def test_without_nvpmodel_or_jetson_clocks_it_says_whose_they_are(
    tmp_path: Path, settings: SetUp
) -> None:
    with (
        pytest.raises(AgentError, match="no nvpmodel: power modes are a Jetson's") as modes,
        settings(tmp_path).applied("15W", lock_clocks=False),
    ):
        pass
    with (
        pytest.raises(AgentError, match="no jetson_clocks: only a Jetson's") as clocks,
        settings(tmp_path).applied(None, lock_clocks=True),
    ):
        pass

    assert (modes.value.kind, clocks.value.kind) == ("device", "device")


def test_without_a_readable_configuration_nvpmodel_itself_names_the_modes(
    fake_board: FakeBoards, settings: SetUp
) -> None:
    root = fake_board(NANO)
    (root / "etc/nvpmodel.conf").unlink()

    with settings(root).applied("MAXN_SUPER", lock_clocks=False):
        assert mode(root) == 2

    assert mode(root) == 1


def test_a_mode_that_needs_a_reboot_is_not_set_and_says_how(
    fake_board: FakeBoards, settings: SetUp, state: Path
) -> None:
    root = fake_board(NANO)

    with (
        pytest.raises(AgentError, match="needs a reboot: run sudo nvpmodel -m 3, answer YES"),
        settings(root).applied("7W", lock_clocks=True),
    ):
        pass

    assert (mode(root), calls(root)) == (1, [])
    assert list((state / "board").iterdir()) == []


@pytest.mark.parametrize("locked", [False, True])
def test_where_sudo_wants_a_password_it_says_what_to_run(
    fake_board: FakeBoards,
    settings: SetUp,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    locked: bool,
) -> None:
    root = fake_board(NANO, sudo="refuses")
    if locked:
        Programs(root).run("jetson_clocks")
    before = calls(root)
    monkeypatch.setattr(guard, "START", NOT_ROOT + guard.START)

    with (
        pytest.raises(AgentError, match="sudo: a password is required") as refused,
        settings(root).applied("15W", lock_clocks=True),
    ):
        pass

    assert "run yourself: sudo nvpmodel -m 0 && sudo jetson_clocks, or" in str(refused.value)
    assert "NOPASSWD: " in str(refused.value)
    assert "set back" not in str(refused.value)
    assert (mode(root), calls(root)) == (1, before)
    assert list((state / "board").iterdir()) == []


def test_through_sudo_it_is_set_and_set_back(
    fake_board: FakeBoards, settings: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board(NANO)
    replace(root, "sudo", f'printf \'%s\\n\' "$*" >>{root}/var/log/sudo; exec "$0.real" "$@"')
    monkeypatch.setattr(guard, "START", NOT_ROOT + guard.START)

    with settings(root).applied("15W", lock_clocks=False):
        assert mode(root) == 0

    assert mode(root) == 1
    asked = (root / "var/log/sudo").read_text().splitlines()
    assert asked == [f"-n {root}/usr/sbin/nvpmodel -m {number}" for number in (0, 1)]


def test_a_mode_that_nvpmodel_does_not_read_is_an_error(
    fake_board: FakeBoards, settings: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board(NANO)
    replace(root, "nvpmodel", '[ "$1" = -m ] || exec "$0.real" "$@"')

    with (
        pytest.raises(AgentError, match="nvpmodel -q does not read that mode"),
        settings(root).applied("15W", lock_clocks=False),
    ):
        pass


def test_clocks_that_stay_unlocked_are_an_error(fake_board: FakeBoards, settings: SetUp) -> None:
    root = fake_board(NANO)
    replace(root, "jetson_clocks", '[ $# = 0 ] || exec "$0.real" "$@"')

    with (
        pytest.raises(AgentError, match="locked no clock"),
        settings(root).applied(None, lock_clocks=True),
    ):
        pass

    assert calls(root) == ["jetson_clocks --store", "jetson_clocks --restore"]


def test_an_error_under_way_passes_through_and_the_board_is_set_back(
    fake_board: FakeBoards, settings: SetUp
) -> None:
    root = fake_board(NANO)

    with pytest.raises(KeyboardInterrupt), settings(root).applied("15W", lock_clocks=True):
        raise KeyboardInterrupt

    assert mode(root) == 1


def test_what_cannot_be_set_back_is_told_and_stays_on_record(
    fake_board: FakeBoards, settings: SetUp, state: Path
) -> None:
    root = fake_board(NANO)
    setting = settings(root)
    with setting.applied("15W", lock_clocks=False):
        replace(root, "nvpmodel", '[ "$1" != -m ] || { echo "NVPM ERROR: stuck" >&2; exit 1; }')

    (flag,) = setting.troubles
    with (
        pytest.raises(AgentError, match="has not been set back since an earlier measurement"),
        settings(root).applied(None, lock_clocks=True),
    ):
        pass
    put_back(root, "nvpmodel")
    told = restore_leftover(state, Programs(root))

    assert (flag["kind"], flag["grave"]) == ("restore-failed", True)
    assert "nvpmodel -m 1 failed: NVPM ERROR: stuck" in flag["text"]
    assert str(state / "board/restore.json") in flag["remedy"]
    assert [(each["kind"], each["grave"]) for each in told] == [("restored", False)]
    assert mode(root) == 1


def test_an_error_that_ends_the_measurement_also_says_what_could_not_be_set_back(
    fake_board: FakeBoards, settings: SetUp
) -> None:
    root = fake_board(NANO)

    with (
        pytest.raises(AgentError, match=r"GPU is gone; .* be set back: nvpmodel -m 1") as ended,
        settings(root).applied("15W", lock_clocks=False),
    ):
        replace(root, "nvpmodel", '[ "$1" != -m ] || exit 1')
        raise AgentError("missing", "the GPU is gone")

    assert ended.value.kind == "missing"


def test_without_a_state_folder_nothing_stays(
    fake_board: FakeBoards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_board(NANO)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    with Settings(Programs(root), root, None).applied("15W", lock_clocks=True):
        assert [each.name for each in (tmp_path / "tmp").iterdir()] != []
        assert mode(root) == 0

    assert mode(root) == 1
    assert list((tmp_path / "tmp").iterdir()) == []
