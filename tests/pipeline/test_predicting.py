"""What is predicted of a network on a device: always labelled, and never what is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision

from edgestill.deploy.errors import DeployError, TargetError
from edgestill.deploy.latency_estimate import estimate
from edgestill.deploy.latency_table import TableError, write_table
from edgestill.deploy.power_modes import device_named
from edgestill.models.budget import Budget
from edgestill.models.errors import BadInput
from edgestill.models.families import FAMILIES, spec_to_json
from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline.layer_work import network_work
from edgestill.pipeline.predicting import (
    Predictor,
    predictor,
    predictor_for,
    told_of_network,
    values_of,
)
from edgestill.pipeline.traced_layers import traced

from .tables import MJ_OF_A_MS, full_table, network_ms, without_energy

SPEC = WideResNet()
LAYERS = SPEC.layers(SPEC)
TOLD = {"value", "low", "high", "level", "text", "estimated", "extrapolates"}


@pytest.fixture(scope="module")
def table_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "board.json"
    write_table(full_table(), path)
    return path


@pytest.fixture(params=["module", "table"])
def device(request: pytest.FixtureRequest, table_file: Path) -> Predictor:
    return predictor("orin-nano@15W" if request.param == "module" else str(table_file))


def latency(found: Predictor) -> dict[str, Any]:
    told: Any = found.told(LAYERS)["latency_ms"]
    return dict(told)


def test_an_estimate_is_that_of_the_network_and_says_so() -> None:
    found = predictor("orin-nano@15W")
    told = latency(found)

    expected = estimate(network_work(LAYERS), device_named("orin-nano@15W"), "int8")
    assert told["value"] == expected.ms
    assert told["high"] / told["value"] == pytest.approx(expected.factor)
    assert told["low"] * told["high"] == pytest.approx(told["value"] ** 2)
    assert told["text"] == expected.label
    assert told["text"].endswith("estimated")
    assert told["estimated"]
    assert found.estimated
    assert found.name == "orin-nano-8gb@15W"
    assert "estimated" in found.source


def test_an_estimate_says_when_it_extrapolates() -> None:
    assert any("MACs, measured" in text for text in latency(predictor("orin-nano"))["extrapolates"])
    assert "no Blackwell GPU was measured" in latency(predictor("thor@MAXN"))["extrapolates"]


def test_an_estimate_depends_on_the_precision() -> None:
    by_precision = [
        latency(predictor("agx-orin@MAXN", precision=each))["value"] for each in ("fp32", "int8")
    ]

    assert by_precision[0] > by_precision[1]


def test_a_table_predicts_what_its_blocks_say(table_file: Path) -> None:
    found = predictor(str(table_file))
    told: Any = found.told(LAYERS)

    assert told["latency_ms"]["value"] == pytest.approx(network_ms(LAYERS), rel=0.03)
    assert told["latency_ms"]["text"].endswith("predicted")
    assert not told["latency_ms"]["estimated"]
    assert told["energy_mj"]["value"] == pytest.approx(MJ_OF_A_MS * network_ms(LAYERS), rel=0.03)
    assert told["energy_mj"]["high"] is None
    assert found.name == "Test board@15W"
    assert "tensorrt 10.3.0, int8, batch 1" in found.source


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_columns_of_a_space_are_what_its_networks_are_told(device: Predictor, family: str) -> None:
    space = FAMILIES[family].space(num_classes=10, image_size=32)
    chunk = next(space.chunks(300, start=len(space) // 2))
    some = np.linspace(0, len(chunk.rows) - 1, 5).astype(int)

    for name, predict in device.functions().items():
        columns = np.broadcast_to(predict(FAMILIES[family].layers(chunk.shape)), chunk.rows.shape)

        specs = [space.spec(int(row)) for row in chunk.rows[some]]
        told = [values_of(device.told(spec.layers(spec)))[name] for spec in specs]
        assert columns[some] == pytest.approx(told, rel=1e-9)


def test_all_that_is_told_has_its_label(device: Predictor) -> None:
    told: Any = device.told(LAYERS)

    assert set(told) == {"latency_ms", "energy_mj"}
    for each in told.values():
        assert each is None or set(each) == TOLD


def test_another_network_is_told_by_what_it_runs(device: Predictor) -> None:
    own = {"spec": spec_to_json(SPEC)}

    by_layers = values_of(told_of_network(device, own))
    traced_ms = values_of(device.told_of(traced(SPEC.network(), (3, 32, 32))))

    assert traced_ms == pytest.approx(by_layers)
    assert told_of_network(None, own) == {}


def test_a_network_of_the_library_is_told_without_its_layers_being_ours() -> None:
    description = {
        "model": "torchvision:squeezenet1_1",
        "options": {},
        "num_classes": 10,
        "image_size": 64,
    }

    told: Any = told_of_network(predictor("orin-nano@15W"), description)

    assert told["latency_ms"]["value"] > 0
    assert "estimated" in told["latency_ms"]["text"]


def test_a_table_refuses_a_network_with_layers_it_cannot_know(table_file: Path) -> None:
    grouped = torchvision.models.resnext50_32x4d(weights=None)

    with pytest.raises(BadInput, match="a convolution of 32 groups takes is not in the table"):
        predictor(str(table_file)).told_of(traced(grouped, (3, 32, 32)))


@pytest.mark.parametrize(
    ("device", "precision", "error", "said"),
    [
        ("orin-nan@15W", None, TargetError, "no known module"),
        ("orin-nano@16W", None, TargetError, "no such power mode"),
        ("", None, TargetError, "no known module"),
        ("@", None, TargetError, "no known module"),
        ("orin-nano@15W", "int4", BadInput, "precision 'int4': expected one of"),
        ("absent.json", None, OSError, "No such file"),
    ],
)
def test_a_device_that_is_none_is_refused(
    device: str, precision: str | None, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        predictor(device, precision=precision)


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", "null", "\xff", '{"edgestill_latency_table": 9}']
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(content.encode("latin-1"))

    with pytest.raises(TableError, match="cannot be used as a latency table") as refused:
        predictor(str(path))

    assert "\n" not in str(refused.value)


def test_a_table_without_the_blocks_of_a_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    write_table(full_table().model_copy(update={"entries": [], "fit": None}), path)

    with pytest.raises(TableError, match=r"table\.json: no network's latency can be fitted"):
        predictor(str(path))


def test_a_table_of_another_precision_is_refused(table_file: Path) -> None:
    with pytest.raises(BadInput, match="was measured in int8, not in fp32; calibrate once more"):
        predictor(str(table_file), precision="fp32")

    assert predictor(str(table_file), precision="int8").name == "Test board@15W"


def test_an_energy_budget_needs_a_table_with_energy(tmp_path: Path, table_file: Path) -> None:
    bare = tmp_path / "bare.json"
    write_table(without_energy(), bare)
    budget = Budget(energy_mj=8.0)

    for device, said in (("orin-nano@15W", "energy is not known"), (str(bare), "no power rail")):
        with pytest.raises(BadInput, match=said) as refused:
            predictor_for(budget, device)
        assert "edgestill calibrate" in str(refused.value)
        assert "\n" not in str(refused.value)
    with pytest.raises(BadInput, match="needs a device"):
        predictor_for(budget, None)
    assert predictor_for(budget, str(table_file)) is not None


def test_a_latency_budget_needs_a_device() -> None:
    with pytest.raises(BadInput, match="needs a device"):
        predictor_for(Budget(latency_ms=2.0), None)

    assert predictor_for(Budget(macs=1), None) is None


def test_every_fault_of_a_device_ends_with_exit_code_2() -> None:
    assert {BadInput.exit_code, TargetError.exit_code, DeployError.exit_code} == {2}
