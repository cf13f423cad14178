"""The table of modules agrees with the agent's identities and with its own arithmetic."""

from __future__ import annotations

import pytest

from edgestill.deploy.agent.jetson import MODULES as IDENTITIES
from edgestill.deploy.agent.jetson import PARTS
from edgestill.deploy.boards import MODULES, module

from .fake_boards import BOARDS

# Dense operations per SM and clock: INT8, FP16
OPERATIONS = {"tegra194": (2048, 1024), "tegra234": (4096, 2048), "tegra264": (16384, 8192)}


@pytest.mark.parametrize("part", PARTS)
def test_every_part_that_the_agent_knows_leads_to_its_module(part: str) -> None:
    name = PARTS[part]
    number = part if "-" in part else part + "-0000"

    found = module(number)

    if name in MODULES:
        assert found is not None
        assert (found.name, found.sm_count) == (name, IDENTITIES[name].sm_count)
        assert part in found.parts
    else:
        assert found is None  # named, without figures


@pytest.mark.parametrize("name", MODULES)
def test_dense_peaks_follow_from_sms_and_clock(name: str) -> None:
    row = MODULES[name]
    if row.soc not in OPERATIONS:
        assert row.int8_tops is None
        return

    int8, fp16 = OPERATIONS[row.soc]

    # The table's figures have three digits.
    assert row.int8_tops == pytest.approx(row.sm_count * row.gpu_mhz * int8 / 1e6, rel=0.01)
    assert row.fp16_tflops == pytest.approx(row.sm_count * row.gpu_mhz * fp16 / 1e6, rel=0.01)


@pytest.mark.parametrize("name", MODULES)
def test_accelerators_and_their_peak_come_together(name: str) -> None:
    row = MODULES[name]

    assert (row.dla_cores > 0) == (row.dla_int8_tops is not None)
    assert set(row.unverified) <= set(vars(row))


@pytest.mark.parametrize("name", BOARDS)
def test_every_fake_board_is_a_known_module(name: str) -> None:
    board = BOARDS[name]

    row = MODULES[board.module]

    assert row.soc == board.soc
    fastest = max(mode.gpu_hz for mode in board.modes) / 1e6
    assert fastest == pytest.approx(row.super_gpu_mhz if board.super else row.gpu_mhz, rel=0.01)


def test_super_is_the_same_module_and_an_unknown_part_is_none() -> None:
    assert module("p3767-0005-super") == module("p3767-0005") == MODULES["Orin Nano 8GB"]
    assert module("p9999-0000") is None
