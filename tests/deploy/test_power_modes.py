"""Every module and mode has a name that leads to it, and figures that agree with the boards'."""

from __future__ import annotations

import pytest

from edgestill.deploy.boards import MODULES
from edgestill.deploy.errors import TargetError
from edgestill.deploy.power_mode_rows import MODES_WITHOUT_CLOCKS, ROWS
from edgestill.deploy.power_modes import SHORT, Device, device_named, devices, slug


@pytest.mark.parametrize("device", devices(), ids=lambda device: device.name)
def test_every_name_leads_to_its_device_in_any_case(device: Device) -> None:
    assert device_named(device.name) == device
    assert device_named(device.name.upper()) == device


def test_names_are_told_apart_and_every_module_has_one() -> None:
    names = [device.name for device in devices()]

    assert len(set(names)) == len(names) == len(ROWS)
    assert {mode.module for mode in ROWS} == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_no_mode_has_more_than_its_module(module: str) -> None:
    row = MODULES[module]
    modes = [mode for mode in ROWS if mode.module == module]

    assert sum(mode.default for mode in modes) <= 1
    for mode in modes:
        assert 1 <= mode.sm_count <= row.sm_count
        assert mode.gpu_mhz <= (row.super_gpu_mhz or 0) or mode.gpu_mhz <= row.gpu_mhz
        assert mode.bandwidth_gb_s in (row.bandwidth_gb_s, row.super_bandwidth_gb_s)
        assert set(mode.unverified) <= set(vars(mode))
        assert mode.source
        assert mode.name not in MODES_WITHOUT_CLOCKS.get(module, ())


@pytest.mark.parametrize("module", MODULES)
def test_peaks_at_full_clock_are_those_of_the_boards(module: str) -> None:
    row = MODULES[module]
    full = [d for d in devices() if d.mode.module == module and d.mode.gpu_mhz == row.gpu_mhz]

    for device in full:
        # The boards' figures have three digits.
        assert device.fp16_tflops == pytest.approx(row.fp16_tflops, rel=0.01)
        assert (device.int8_tops is None) == (row.int8_tops is None)
        assert device.tensor_cores == (row.int8_tops is not None)
        if device.int8_tops is not None:
            assert device.int8_tops == pytest.approx(row.int8_tops, rel=0.01)


def test_tf32_is_behind_no_tensor_core_of_volta_and_older() -> None:
    assert (
        device_named("agx-xavier@MAXN").fp32_tflops == device_named("agx-xavier@MAXN").cuda_tflops
    )
    orin = device_named("agx-orin-64gb@MAXN")
    # 5.3 TFLOPS on CUDA cores, says its brief.
    assert orin.cuda_tflops == pytest.approx(5.3, rel=0.01)
    assert orin.fp32_tflops == orin.fp16_tflops / 2
    assert "fp32_tflops" in orin.unverified


@pytest.mark.parametrize("short", SHORT)
def test_a_family_alone_stands_for_its_default_mode(short: str) -> None:
    device = device_named(short)

    assert device.mode.default
    assert device.mode.module == SHORT[short]
    assert device_named(slug(SHORT[short])) == device


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("orin-nona", "did you mean orin-nano"),
        ("rtx4090", "known: orin-nano"),
        ("", "known: orin-nano"),
        ("orin-nano@12W", "known: orin-nano-8gb@7W, orin-nano-8gb@15W"),
        ("orin-nano@", "no such power mode"),
        ("agx-xavier", "give one: agx-xavier@MAXN"),
        ("agx-xavier@15w", "clocks of this power mode are not documented"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(name: str, said: str) -> None:
    with pytest.raises(TargetError) as refused:
        device_named(name)

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
