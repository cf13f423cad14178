"""--over: values are split where they end, crossed, and every run gets a name of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline.sweep_over import parse_over, planned_runs, run_names


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seed=0,1,2", ("0", "1", "2")),
        ("seed = 0 , 1", ("0", "1")),
        ("teacher.model='a,b',\"c,d\"", ("'a,b'", '"c,d"')),
        (
            "distill.losses=[{name='kd', weight=1.0}, {name='gkd'}],[{name='gkd'}]",
            ("[{name='kd', weight=1.0}, {name='gkd'}]", "[{name='gkd'}]"),
        ),
        ('data.source="imagefolder:a]b",digits', ('"imagefolder:a]b"', "digits")),
    ],
)
def test_values_end_at_commas_outside_quotes_and_brackets(
    text: str, values: tuple[str, ...]
) -> None:
    assert parse_over(text)[1] == values


@pytest.mark.parametrize(
    ("over", "told"),
    [
        (["seed"], "expected KEY=V1,V2"),
        (["seed=0,,1"], "expected KEY=V1,V2"),
        (["=1"], "expected KEY=V1,V2"),
        (["budget..macs=1M"], "expected KEY=V1,V2"),
        (["seed=0,0"], "0 stands twice"),
        (["name=a,b"], "names its runs itself"),
        (["export.targets=['ort-x86'"], "'[' is never closed"),
        (["export.targets=ort-x86]"], "']' closes nothing"),
        (["data.source='digits"], '"\'" is never closed'),
        (["seed=0,1", "seed=2"], "--over seed and --over seed both give it"),
        (["distill.epochs=1,2", "distill={epochs=3}"], "--over distill and --over distill.epochs"),
        (["seed=" + ",".join(map(str, range(1001)))], "at most 1,000"),
        (["budget.macs=5M,5000000"], "are the same run"),
        (["seed=0,x"], "with --over seed=x: seed: "),
        (["budget.mac=5M"], "with --over budget.mac=5M: [budget] mac: unknown key"),
        ([], "a sweep varies something"),
    ],
)
def test_what_cannot_be_swept_is_refused_in_one_line(over: list[str], told: str) -> None:
    with pytest.raises(BadInput) as refused:
        planned_runs("smoke", over)

    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_key_is_not_both_fixed_and_varied() -> None:
    with pytest.raises(BadInput, match="--over seed and --set seed both give it"):
        planned_runs("smoke", ["seed=0,1"], ["seed=3"])


def test_the_runs_are_every_combination_and_the_last_key_varies_fastest() -> None:
    name, runs = planned_runs("smoke", ["budget.macs=700k,900k", "seed=0,1"], ["distill.epochs=5"])

    assert name == "smoke"
    assert [run.name for run in runs] == [
        "smoke-macs-700k-seed-0", "smoke-macs-700k-seed-1",
        "smoke-macs-900k-seed-0", "smoke-macs-900k-seed-1",
    ]  # fmt: skip
    assert [(run.recipe.budget.macs, run.recipe.seed) for run in runs] == [
        (700_000, 0), (700_000, 1), (900_000, 0), (900_000, 1)
    ]  # fmt: skip
    assert {run.recipe.distill.epochs for run in runs} == {5}
    assert runs[0].overrides == {"budget.macs": "700k", "seed": "0"}


def test_a_sweep_takes_the_name_that_its_recipe_is_given() -> None:
    name, runs = planned_runs("smoke", ["seed=1"], ["name=mine"])

    assert (name, runs[0].name) == ("mine", "mine-seed-1")


def test_a_recipe_goes_to_another_process_as_json_and_stays_the_same(tmp_path: Path) -> None:
    from edgestill.pipeline.recipe import Recipe

    for source in ("smoke", "digits", "cifar10"):
        (run,) = planned_runs(source, ["seed=7"])[1]

        assert Recipe.model_validate_json(run.recipe.model_dump_json()) == run.recipe


def test_keys_that_end_alike_are_written_in_full() -> None:
    names = run_names("r", [{"distill.epochs": "1", "teacher.epochs": "2"}])

    assert names == ["r-distill.epochs-1-teacher.epochs-2"]


@pytest.mark.parametrize(
    "values",
    [("a b", "a-b"), ("ort", "ORT"), ("x" * 200, "y")],
    ids=["same when spelled", "same without capitals", "too long"],
)
def test_values_that_make_no_name_of_their_own_become_numbers(values: tuple[str, ...]) -> None:
    assert run_names("r", [{"k": value} for value in values]) == ["r-1", "r-2"]
