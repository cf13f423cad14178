"""The recipe: what is refused, and with which words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgestill.models.budget import Budget as Limits
from edgestill.models.errors import BadInput
from edgestill.pipeline.recipe import Training
from edgestill.pipeline.recipe_file import find_recipe, load_recipe, shipped_recipes


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_opens_with_its_command_and_is_valid(name: str) -> None:
    recipe = load_recipe(name)
    first = find_recipe(name).read_text().splitlines()[0]

    assert recipe.name
    assert first.startswith("# edgestill run ")


def test_quantities_are_numbers_with_units() -> None:
    recipe = load_recipe("digits", ["budget.macs=15M", "budget.bytes=200KB"])

    assert recipe.budget.macs == 15_000_000
    assert recipe.budget.bytes == 200_000


def test_a_change_reaches_into_lists_by_number() -> None:
    recipe = load_recipe("digits", ["distill.losses.1.weight=3", "profile.on.0.threads=2"])

    assert recipe.distill.losses[1].weight == 3
    assert recipe.profile.on[0].threads == 2


def test_a_teacher_with_weights_is_used_as_it_is_unless_told_otherwise() -> None:
    taken = load_recipe("imagefolder", ["teacher.checkpoint=t.safetensors"])
    trained_on = load_recipe(
        "imagefolder", ["teacher.checkpoint=t.safetensors", "teacher.epochs=2"]
    )

    assert taken.teacher.epochs == 0
    assert trained_on.teacher.epochs == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("budgt.macs=3M", "budgt: unknown key; did you mean 'budget'?"),
        ("budget.macs=-3", "[budget] macs: Input should be greater than 0; found -3"),
        ("budget.macs=3Q", "[budget] macs: '3Q' is no quantity"),
        ("budget.macs=0", "[budget] macs"),
        ("teacher.epochs=1.5", "[teacher] epochs: Input should be a valid integer; found 1.5"),
        ("teacher.lr=inf", "[teacher] lr"),
        ("data.flip=1", "[data] flip"),
        ("data.mean=[0.5, 0.5]", "[data.mean] 2: missing"),
        (
            "distill.losses.0.wieght=3",
            "[distill.losses.0] wieght: unknown key; did you mean 'weight'?",
        ),
        ("distill.losses.0.name=gdk", "[distill.losses] 0"),
        ("distill.losses.0.name=kd", "[distill] losses: 'kd' stands twice; give each once"),
        ("export.targets=['ort-x68']", "[export.targets] 0"),
        (
            "profile.on.0.seconds=0",
            "[profile.on.0] seconds: Input should be greater than 0; found 0",
        ),
        ("name=../up", "name:"),
        ("quantize.bits.deep=1", "[quantize] bits: unknown key"),
    ],
)
def test_a_wrong_value_is_named_by_table_and_key(change: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        load_recipe("digits", [change])

    assert said in str(refused.value)
    assert f"--set {change}" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("budget", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("seed.deep=3", "seed is a value, not a table"),
        ("profile.on.7.threads=2", "'7' is not one of the 1 entries"),
    ],
)
def test_a_change_that_leads_nowhere_is_refused(change: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load_recipe("digits", ["seed=1", change])


def test_a_budget_without_a_limit_is_refused(tmp_path: pytest.TempPathFactory) -> None:
    with pytest.raises(BadInput, match=r"no limit given; give macs, params"):
        load_recipe("digits", ["budget={}"])


@pytest.mark.parametrize("device", ["orin-nano@15W", "tables/orin", "ORIN-NANO-8GB@15w", "x.json"])
def test_a_latency_budget_names_a_module_or_a_table(device: str) -> None:
    budget = load_recipe(
        "digits", ["budget.latency_ms=2", f"budget.device={device}", "budget.bytes=200KB"]
    ).budget

    assert budget.latency_ms == 2.0
    assert budget.limits() == Limits(
        macs=budget.macs, params=budget.params, bytes=200_000, latency_ms=2.0
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["budget.latency_ms=2"], "latency_ms and energy_mj hold on some device"),
        (["budget.energy_mj=8"], "latency_ms and energy_mj hold on some device"),
        (["budget.device=orin-nano@15W"], "device says where latency_ms and energy_mj hold"),
        (["budget={device='orin-nano@15W'}"], "no limit given"),
        (["budget.device=orin-nan@15W"], "[budget] device: 'orin-nan@15W' is no known module"),
        (["budget.device=orin-nano@16W"], "Orin Nano 8GB has no such power mode"),
        (["budget.device=''"], "[budget] device: '' is no known module"),
        (["budget.device=3"], "[budget] device"),
        (["budget.latency_ms=2", 'budget.device="a/\\u0000"'], "printable characters"),
        (["budget.latency_ms=2ms"], "[budget] latency_ms: Input should be a valid number"),
        (["budget.latency_ms=0"], "[budget] latency_ms: Input should be greater than 0; found 0"),
        (["budget.latency_ms=-1.5"], "[budget] latency_ms"),
        (["budget.latency_ms=nan"], "[budget] latency_ms"),
        (["budget.energy_mj=inf"], "[budget] energy_mj"),
        (["budget.latency_ms=true"], "[budget] latency_ms"),
    ],
)
def test_a_latency_or_an_energy_that_cannot_be_held_is_refused(
    changes: list[str], said: str
) -> None:
    with pytest.raises(BadInput) as refused:
        load_recipe("digits", changes)

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_recipe_lists_the_shipped_ones() -> None:
    with pytest.raises(BadInput, match="shipped: cifar10, digits, imagefolder, smoke"):
        load_recipe("digit")


@pytest.mark.parametrize(
    "nonsense",
    [
        {"epochs": -1},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"momentum": 1.0},
        {"weight_decay": -1e-4},
        {"warmup_epochs": -1.0},
        {"milestones": (0.5, 60)},
        {"gamma": 0.0},
        {"clip_norm": 0.0},
        {"optimizer": "lamb"},
        {"schedule": "step"},
        {"precision": "float16"},
        {"compile": "always"},
    ],
    ids=str,
)
def test_training_that_means_nothing_is_refused(nonsense: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Training(**{"epochs": 1, **nonsense})
