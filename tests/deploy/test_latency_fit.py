"""The fit to a latency table: truths that it finds again, and what holds of every prediction."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestill.deploy.latency_fit import Fit, TimedLayer, fitted, speed_of, with_fit
from edgestill.deploy.latency_table import Block, TableError, read_table, with_entries, write_table
from edgestill.pipeline.calibration_blocks import grid

from .latency_tables import TRUE_NS, YARDSTICK_MS, entry, table, true_ms, true_table

BLOCKS = [Block(**asdict(block)) for group in grid("small") for block in group]
STEM = TimedLayer(kind="conv3x3", in_channels=3, out_channels=24, size=32, kernel=3)
NETWORK = [
    STEM,
    TimedLayer(kind="conv3x3", in_channels=24, out_channels=40, size=32, stride=2, kernel=3),
    TimedLayer(kind="conv3x3_add", in_channels=40, out_channels=40, size=16, kernel=3, count=3),
    TimedLayer(kind="conv1x1", in_channels=40, out_channels=100, size=16),
    TimedLayer(kind="depthwise3x3", in_channels=100, out_channels=100, size=16, kernel=3),
    TimedLayer(kind="global_pool", in_channels=100, out_channels=100, size=16, kernel=0),
    TimedLayer(kind="linear", in_channels=100, out_channels=10, size=1, kernel=0),
]
LAYERS = st.sampled_from(NETWORK[1:6])


def truth(layers: list[TimedLayer]) -> float:
    """What a network takes in truth, in ms: written out once more, term by term."""
    nanoseconds = TRUE_NS["overhead"]
    for layer in layers:
        into, out, pixels = layer.in_channels, layer.out_channels, (layer.size // layer.stride) ** 2
        eights = -(-into // 8) * 8 * -(-out // 8) * 8
        into16, out16 = -(-into // 16) * 16, -(-out // 16) * 16
        one = {
            "image": 2000 + 0.015 * 9 * into * out16 * pixels,
            "conv": 1000 + 0.015 * 9 * into16 * out16 * pixels + 0.05 * 9 * into * out,
            "conv1x1": 500 + 0.012 * eights * pixels + 0.1 * into * layer.size**2,
            "depthwise": 900 + 0.3 * out16 * pixels,
            "global_pool": 0.2 * into * layer.size**2,
            "linear": 600 + 0.06 * into * out,
        }[layer.group]
        one += 0.4 * out * pixels if layer.kind.endswith("_add") else 0
        nanoseconds += layer.count * one
    return 1e-6 * nanoseconds


@pytest.fixture(scope="module")
def exact() -> Fit:
    """Of a table without any noise."""
    return fitted(true_table(BLOCKS, joules=5.0))


def test_what_the_blocks_show_is_found_again(exact: Fit) -> None:
    assert exact.ms(NETWORK) == pytest.approx(truth(NETWORK), rel=0.01)
    assert exact.record.error < 0.02


def test_blocks_that_were_measured_far_too_slow_do_not_pull_the_others() -> None:
    disturbed = fitted(true_table(BLOCKS, disturbed=lambda number: 1.7 if number % 10 == 3 else 1))

    assert disturbed.ms(NETWORK) == pytest.approx(truth(NETWORK), rel=0.05)


def test_a_table_taken_in_a_slow_and_a_fast_hour_is_at_one_speed() -> None:
    slow = true_table(BLOCKS[::2], speeds=(1.7, 1.6, 1.6, 1.7))
    fast = true_table(BLOCKS[1::2], speeds=(1.0, 1.0, 1.0, 1.5))

    both = with_entries(slow, fast.entries)

    speed_ms = speed_of(both)
    assert speed_ms is not None
    assert fitted(both).ms(NETWORK) == pytest.approx(truth(NETWORK) * speed_ms / YARDSTICK_MS, 0.01)


def test_without_a_yardstick_the_middle_round_counts() -> None:
    plain = [
        each.model_copy(update={"yardstick_ms": None})
        for each in true_table(BLOCKS, speeds=(9.0, 1.0, 0.9)).entries
    ]

    assert speed_of(table(plain)) is None
    assert fitted(table(plain)).ms(NETWORK) == pytest.approx(truth(NETWORK), rel=0.01)


def test_whole_networks_that_the_fit_did_not_see_say_how_far_off_it_is(exact: Fit) -> None:
    judged = fitted(true_table(BLOCKS, joules=5.0, off=(1.1, 1 / 1.1, 1.1, 1 / 1.1))).record

    assert judged.ms == exact.record.ms
    assert judged.networks == 4
    assert judged.median_error == pytest.approx(0.1, abs=0.01)
    # Student's t of four degrees of freedom: 2.13 deviations for 90 %.
    assert judged.error == pytest.approx(1.1**2.132 - 1, abs=0.02)


def test_energy_is_fitted_where_every_entry_has_it(exact: Fit) -> None:
    whole = true_table(BLOCKS, joules=5.0)
    lacking = whole.entries[0].model_copy(update={"energy_mj": None})

    assert exact.energy_mj(NETWORK) == pytest.approx(5 * truth(NETWORK), rel=0.01)
    assert fitted(with_entries(whole, [lacking])).energy_mj(NETWORK) is None


@settings(deadline=None)  # the first one waits for the fit
@given(layer=LAYERS, channels=st.integers(8, 600), size=st.integers(2, 64), count=st.integers(1, 9))
def test_a_layer_takes_time_and_more_of_it_at_a_larger_size_or_in_greater_number(
    exact: Fit, layer: TimedLayer, channels: int, size: int, count: int
) -> None:
    layer = replace(layer, in_channels=channels, out_channels=channels, size=size, count=count)
    others = [replace(layer, size=size + 2), replace(layer, count=count + 1)]

    alone = exact.ms([layer])

    assert alone > exact.ms([])
    assert all(exact.ms([other]) >= alone for other in others)
    assert exact.ms([layer, STEM]) > alone


def test_columns_are_the_single_networks(exact: Fit) -> None:
    chance = np.random.default_rng(0)
    into, out = chance.integers(8, 200, (2, 50))
    count = chance.integers(0, 3, 50)
    layer = TimedLayer(kind="conv3x3_add", in_channels=8, out_channels=8, size=16, kernel=3)
    column = replace(layer, in_channels=into, out_channels=out, count=count)
    alone = [
        replace(layer, in_channels=int(i), out_channels=int(o), count=int(n))
        for i, o, n in zip(into, out, count, strict=True)
    ]

    for predict in (exact.ms, exact.energy_mj):
        singles: list[Any] = [predict([STEM, each]) for each in alone]
        together: Any = predict([STEM, column])
        np.testing.assert_allclose(together, singles)


def test_an_interval_lies_around_its_value_and_says_its_level() -> None:
    fit = fitted(true_table(BLOCKS, off=(1.2, 1.0, 1.2, 1.0)))

    low, high = fit.interval(2.0)
    lows, highs = fit.interval(np.array([2.0, 4.0]))

    assert low < 2.0 < high and low * high == pytest.approx(4.0)
    assert (lows[0], highs[1]) == (low, 2 * high)
    assert fit.level == 0.9


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, []),
        ({"size": 128}, ["conv3x3 at size 128: 4 to 64 were measured"]),
        ({"out_channels": 2048}, ["conv3x3 to channels 2048: 8 to 1024 were measured"]),
        ({"stride": 4}, ["conv3x3 with stride 4: 1 to 2 were measured"]),
        ({"kernel": 5, "kind": "conv5x5"}, ["conv5x5 with window 5: 3 was measured"]),
        ({"size": 128, "count": 0}, []),
        (
            {"in_channels": np.array([8, 4000])},
            ["conv3x3 from channels 4000: 8 to 512 were measured"],
        ),
    ],
    ids=str,
)
def test_what_lies_outside_the_grid_is_named(
    changed: dict[str, Any], told: list[str], exact: Fit
) -> None:
    layer = replace(NETWORK[1], **changed)

    assert exact.extrapolates([STEM, layer, layer]) == told


def test_a_kind_that_was_not_measured_is_named_and_taken_for_its_like() -> None:
    fit = fitted(true_table(block for block in BLOCKS if block.kind != "max_pool"))
    pool = TimedLayer(kind="max_pool", in_channels=32, out_channels=32, size=32, stride=2, kernel=3)
    like = replace(pool, kind="depthwise3x3")

    assert fit.extrapolates([pool]) == ["no max_pool was measured"]
    assert fit.ms([pool]) == fit.ms([like]) > fit.ms([])


@pytest.mark.parametrize(
    ("without", "named"),
    [
        (("conv1x1", "conv1x1_add", "expand1x1"), "no conv1x1;"),
        (("linear", "global_pool"), "no global_pool, no linear;"),
        (("conv3x3", "conv3x3_add", "conv7x7"), "no conv3x3 of an image, no conv3x3;"),
        ((), "no whole network;"),
    ],
    ids=str,
)
def test_a_table_without_what_a_network_needs_is_refused_in_one_line(
    without: tuple[str, ...], named: str
) -> None:
    lacking = true_table(block for block in BLOCKS if block.kind not in without)
    if not without:
        lacking = table(lacking.singles)

    with pytest.raises(TableError) as refused:
        fitted(lacking)

    assert named in str(refused.value) and "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_table_keeps_its_fit_in_the_file_and_predicts_the_same(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    written = with_fit(true_table(BLOCKS, joules=2.0))

    write_table(written, path)
    read = read_table(path)

    assert read == written and with_fit(read) is read
    assert fitted(read).ms(NETWORK) == fitted(written).ms(NETWORK)
    assert fitted(read).energy_mj(NETWORK) == fitted(written).energy_mj(NETWORK)


def test_a_fit_goes_with_the_entries_it_was_made_of() -> None:
    whole = with_fit(true_table(BLOCKS))

    grown = with_entries(whole, [entry(BLOCKS[0], ms=2 * true_ms(BLOCKS[0]))])

    assert grown.fit is None


def test_a_fit_of_terms_that_another_version_has_is_made_anew() -> None:
    whole = with_fit(true_table(BLOCKS))
    assert whole.fit is not None
    strange = whole.fit.model_copy(update={"ms": {"conv.macs_padded_64": 1e-9}})

    assert with_fit(whole.model_copy(update={"fit": strange})).fit == whole.fit
