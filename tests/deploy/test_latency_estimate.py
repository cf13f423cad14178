"""The estimate: never faster with more to do, always labelled, and the fit that it ships with."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestill.deploy.errors import RequestError
from edgestill.deploy.latency_estimate import (
    BYTES,
    Estimate,
    LayerWork,
    Terms,
    columns_ms,
    estimate,
    fitted,
    layer_terms,
    network_terms,
    parameters_of,
)
from edgestill.deploy.measured_rows import NetworkWork, fitted_rows
from edgestill.deploy.power_modes import Device, device_named, devices

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESNET50 = NetworkWork(
    macs=4_089_184_256, depthwise_macs=0, params=25_557_032, activations=22_900_000, layers=56
)
LAYER = st.builds(
    LayerWork,
    macs=st.integers(0, 10**9),
    weight_bytes=st.integers(0, 10**7),
    activation_bytes=st.integers(1, 10**7),
    depthwise=st.booleans(),
)
CASE = {
    "layers": st.lists(LAYER, min_size=1, max_size=6),
    "device": st.sampled_from(devices()),
    "precision": st.sampled_from(sorted(BYTES)),
    "batch": st.integers(1, 64),
}


@pytest.fixture(scope="module")
def fitting() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "latency_estimate_benchmark", BENCHMARKS / "latency_estimate.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def judged(fitting: ModuleType) -> dict[str, Any]:
    found: dict[str, Any] = fitting.judgement(fitting.ESTIMATE, fitted_rows())
    return found


@settings(max_examples=60, deadline=None)
@given(**CASE, more=LAYER)
def test_more_to_do_is_never_faster(
    layers: list[LayerWork], device: Device, precision: str, batch: int, more: LayerWork
) -> None:
    first = layers[0]
    grown = LayerWork(
        macs=first.macs + more.macs,
        weight_bytes=first.weight_bytes + more.weight_bytes,
        activation_bytes=first.activation_bytes + more.activation_bytes,
        depthwise=first.depthwise,
    )

    least_ms = estimate(layers, device, precision, batch).ms

    assert estimate([grown, *layers[1:]], device, precision, batch).ms >= least_ms
    assert estimate([*layers, more], device, precision, batch).ms > least_ms
    assert estimate(layers, device, precision, batch + 1).ms > least_ms


@settings(max_examples=60, deadline=None)
@given(**CASE, faster=st.floats(1.01, 3))
def test_higher_clocks_are_faster(
    layers: list[LayerWork], device: Device, precision: str, batch: int, faster: float
) -> None:
    mode = device.mode
    gpu = Device(replace(mode, gpu_mhz=mode.gpu_mhz * faster))
    memory = Device(replace(mode, bandwidth_gb_s=mode.bandwidth_gb_s * faster))

    ms = estimate(layers, device, precision, batch).ms

    assert estimate(layers, gpu, precision, batch).ms < ms
    assert estimate(layers, memory, precision, batch).ms < ms


@settings(max_examples=30, deadline=None)
@given(**CASE)
def test_a_network_by_its_layers_and_by_its_totals_are_the_same(
    layers: list[LayerWork], device: Device, precision: str, batch: int
) -> None:
    size = BYTES[precision]
    whole = [
        replace(each, weight_bytes=each.weight_bytes * size, activation_bytes=size * 100)
        for each in layers
    ]
    total = NetworkWork(
        macs=sum(each.macs for each in layers),
        depthwise_macs=sum(each.macs for each in layers if each.depthwise),
        params=sum(each.weight_bytes for each in layers),
        activations=100 * len(layers),
        layers=len(layers),
    )

    by_layers = layer_terms(whole, device, precision, batch)

    assert vars_of(by_layers) == pytest.approx(
        vars_of(network_terms(total, device, precision, batch))
    )


def test_columns_of_totals_are_estimated_row_by_row() -> None:
    orin = device_named("orin-nano@15W")
    rows = [RESNET50, replace(RESNET50, macs=10**9, depthwise_macs=10**8, layers=20)]
    columns = NetworkWork(
        **{
            name: np.array([getattr(row, name) for row in rows])  # type: ignore[arg-type]
            for name in ("macs", "depthwise_macs", "params", "activations", "layers")
        }
    )

    found = columns_ms(columns, orin, "int8", 2)

    assert found == pytest.approx([estimate(row, orin, "int8", 2).ms for row in rows])


def vars_of(terms: Terms) -> list[float]:
    return [terms.layer_periods, terms.compute_ms, terms.memory_ms]


def test_a_layer_by_hand() -> None:
    orin = device_named("agx-orin-64gb@MAXN")  # 16 SMs at 1300 MHz, 204.8 GB/s
    layer = LayerWork(macs=10**9, weight_bytes=10**6, activation_bytes=2 * 10**6)

    terms = layer_terms([layer], orin, "int8", 2)

    assert terms.layer_periods == pytest.approx(1 / 1.3)
    assert terms.compute_ms == pytest.approx(2 * 2e9 / (16 * 1300e6 * 4096) * 1000)
    assert terms.memory_ms == pytest.approx(5e6 / 204.8e9 * 1000)


def test_depthwise_macs_take_longer_than_others() -> None:
    orin = device_named("orin-nano@15W")
    dense = LayerWork(macs=10**8, weight_bytes=0, activation_bytes=1)

    assert (
        estimate([replace(dense, depthwise=True)], orin, "int8").ms
        > estimate([dense], orin, "int8").ms
    )


def test_an_estimate_says_that_it_is_one_and_how_far_off_it_may_be() -> None:
    found = Estimate(
        ms=2.04, factor=1.61, factor_90=2.6, extrapolates=(), unverified=(), source="rows"
    )

    assert str(found) == "2.0 ms, x/÷ 1.6, estimated"
    assert str(replace(found, ms=312.3)) == "312 ms, x/÷ 1.6, estimated"
    assert str(replace(found, ms=0.0312)) == "0.031 ms, x/÷ 1.6, estimated"
    assert str(replace(found, extrapolates=("a", "b"))).endswith("(extrapolates: a; b)")


@pytest.mark.parametrize(
    ("name", "precision", "batch", "said"),
    [
        ("thor", "int8", 1, ["no Blackwell GPU was measured"]),
        ("agx-orin-32gb", "int8", 1, ["no AGX Orin 32GB was measured"]),
        (
            "orin-nano@7W",
            "int8",
            1,
            ["power mode 7W was not measured", "4 SMs, measured with 8"],
        ),
        ("nano@MAXN", "int8", 1, ["int8 is taken to be as fast as fp32 on Maxwell"]),
        ("orin-nano@15W", "fp16", 32, ["batch 32, measured 1 to 4"]),
        ("orin-nano@15W", "fp16", 1, []),
    ],
)
def test_what_was_never_measured_is_named(
    name: str, precision: str, batch: int, said: list[str]
) -> None:
    found = estimate(RESNET50, device_named(name), precision, batch)

    assert list(found.extrapolates) == said
    assert "estimated" in str(found)


def test_a_network_smaller_than_all_measured_ones_says_so_and_is_known_less() -> None:
    orin = device_named("orin-nano@15W")
    tiny = [LayerWork(macs=100_000, weight_bytes=3_000, activation_bytes=20_000)] * 17

    found, large = estimate(tiny, orin, "int8"), estimate(RESNET50, orin, "int8")

    assert found.extrapolates[0].startswith("1.7M MACs, measured 104M to")
    assert found.factor > large.factor >= fitted()["factor_68"]
    assert found.factor_90 >= found.factor


def test_only_the_figures_it_rests_on_are_named_unverified() -> None:
    nx = device_named("orin-nx@15W")

    assert estimate(RESNET50, nx, "int8").unverified == ("bandwidth_gb_s",)
    assert estimate(RESNET50, nx, "fp32").unverified == ("bandwidth_gb_s", "fp32_tflops")


@pytest.mark.parametrize(
    ("work", "precision", "batch", "said"),
    [
        (RESNET50, "fp8", 1, "expected one of fp32, fp16, int8"),
        (RESNET50, "int8", 0, "expected 1 or more"),
        ([], "int8", 1, "no layer"),
    ],
)
def test_what_cannot_be_estimated_is_refused(
    work: Any, precision: str, batch: int, said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        estimate(work, device_named("orin-nano"), precision, batch)


def test_the_shipped_fit_is_what_the_rows_give(fitting: ModuleType, judged: dict[str, Any]) -> None:
    anew = fitting.fit_record(fitted_rows(), judged)

    shipped = fitted()

    assert anew["measured"] == json.loads(json.dumps(shipped["measured"]))
    assert anew["count"] == shipped["count"]
    # Another processor's rounding ends the search elsewhere in the last of four digits.
    assert anew["parameters"] == pytest.approx(shipped["parameters"], rel=2e-3)
    for name in ("factor_68", "factor_90"):
        assert anew[name] == pytest.approx(shipped[name], rel=0.01)


def test_the_factors_are_those_of_rows_that_the_fit_has_not_seen(
    fitting: ModuleType, judged: dict[str, Any]
) -> None:
    rows = fitted_rows()
    weights = fitting.votes(rows)

    within = {
        name: float(
            weights[
                np.abs(fitting.left_out(fitting.ESTIMATE, rows, key))
                <= math.log(fitted()["factor_68"])
            ].sum()
            / weights.sum()
        )
        for name, key in fitting.LEFT_OUT.items()
    }

    assert min(within.values()) >= 0.68
    assert fitted()["factor_68"] < fitted()["factor_90"]


def test_a_left_out_module_is_not_in_the_fit_that_judges_it(fitting: ModuleType) -> None:
    rows = fitted_rows()
    changed = [
        replace(row, ms=row.ms * 10) if row.device.mode.module == "AGX Orin 64GB" else row
        for row in rows
    ]
    key = fitting.LEFT_OUT["module"]
    at = np.array([key(row) == "AGX Orin 64GB" for row in rows])

    before, after = (fitting.left_out(fitting.ESTIMATE, each, key) for each in (rows, changed))

    assert before[at] - after[at] == pytest.approx(np.full(at.sum(), math.log(10)))


def test_the_pure_roofline_is_beaten_clearly(fitting: ModuleType, judged: dict[str, Any]) -> None:
    roofline = fitting.judgement(fitting.FORMS[0], fitted_rows())

    assert roofline["parameters"] == {}
    for name in fitting.LEFT_OUT:
        for quantile in fitting.QUANTILES:
            assert roofline[name][quantile] > 2 * judged[name][quantile]


def test_quantiles_by_hand(fitting: ModuleType) -> None:
    errors = np.log([1.0, 2.0, 0.25, 8.0])  # of factors 1, 2, 4 and 8

    even = fitting.quantiles(errors, np.ones(4))
    uneven = fitting.quantiles(errors, np.array([8.0, 1.0, 0.5, 0.5]))

    assert (even["median"], even["factor_90"]) == (2.0, 8.0)
    assert (uneven["median"], uneven["factor_90"]) == (1.0, 2.0)


def test_the_fit_finds_the_parameters_that_made_the_times(fitting: ModuleType) -> None:
    truth = replace(parameters_of(fitted()), overhead_ms=0.05, efficiency=0.3, memory=0.6)
    made = [
        replace(row, ms=network_terms(row.work, row.device, row.precision, row.batch).ms(truth))
        for row in fitted_rows()
    ]

    found = fitting.fit(fitting.ESTIMATE, made)

    # Four digits are kept.
    assert found == pytest.approx({"overhead_ms": 0.05, "efficiency": 0.3, "memory": 0.6}, rel=1e-3)
