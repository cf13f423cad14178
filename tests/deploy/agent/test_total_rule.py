"""The total of each module's rails: one rail that is all of it, or a sum that says so."""

from __future__ import annotations

import pytest

from edgestill.deploy.agent.total_rule import Total, total


@pytest.mark.parametrize(
    ("rails", "expected", "extent"),
    [
        (["POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU"], "POM_5V_IN", "module"),
        (["VDD_IN", "VDD_CPU_GPU", "VDD_SOC"], "VDD_IN", "module"),
        (["VDD_SYS_GPU", "VDD_SYS_SOC", "VDD_4V0_WIFI", "VDD_IN"], "VDD_IN", "module"),
        (["VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0", "VIN"], "VIN", "board"),
        (["VDD_SYS_GPU", "VDD_MUX", "VDD_5V0_IO_SYS"], "VDD_MUX", "board"),
    ],
    ids=["Nano", "Xavier NX", "TX2", "AGX Thor", "a TX2 whose VDD_IN is unreadable"],
)
def test_a_rail_that_feeds_all_others_is_the_total(
    rails: list[str], expected: str, extent: str
) -> None:
    found = total(rails)

    assert found == Total((expected,), f"{expected}, the whole {extent}", whole=True)


def test_the_module_is_preferred_to_its_carrier_and_the_rule_says_which() -> None:
    found = total(["VDD_MUX", "VDD_5V0_IO_SYS", "VDD_IN", "VDD_SYS_CPU"])

    assert found.rails == ("VDD_IN",)
    assert found.rule == "VDD_IN, the whole module (VDD_MUX is the whole board)"


def test_agx_orin_is_a_sum_of_three_and_names_what_it_leaves_out() -> None:
    rails = ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "NC", "VDDQ_VDD2_1V8AO", "NC"]

    found = total(rails)

    assert found.rails == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
    assert not found.whole
    assert found.rule == (
        "sum of rails, module only: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"
        " (without VDDQ_VDD2_1V8AO)"
    )


def test_agx_xavier_is_a_sum_of_six() -> None:
    found = total(["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"])

    assert found.rails == ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V")
    assert found.rule == "sum of rails, module only: GPU + CPU + SOC + CV + VDDRQ + SYS5V"


def test_a_system_rail_is_no_total_by_itself() -> None:
    found = total(["VIN_SYS_5V0", "VDD_GPU_SOC"])

    assert found.rails == ("VIN_SYS_5V0", "VDD_GPU_SOC")
    assert not found.whole


def test_a_board_that_is_not_known_is_the_sum_of_what_it_has_labelled() -> None:
    found = total(["VDD_A", "NC", "VDD_B"])

    assert found == Total(
        ("VDD_A", "VDD_B"), "sum of rails, of an unknown board: VDD_A + VDD_B", whole=False
    )


@pytest.mark.parametrize("rails", [[], ["NC", "NC"]])
def test_without_a_rail_there_is_nothing_to_add(rails: list[str]) -> None:
    found = total(rails)

    assert found == Total((), "no power rail", whole=False)
