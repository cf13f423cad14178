"""`edgestill search`: tables and JSON of what keeps a budget, and one line for what cannot be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from edgestill.deploy.latency_table import write_table
from edgestill.models.budget import Budget
from edgestill.models.families import FAMILIES, spec_from_json
from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline import cli_search
from edgestill.pipeline.exits import code_of, line_of_error
from edgestill.pipeline.recipe_file import load_recipe

from .tables import full_table, without_energy

FIGURES = ("macs", "params", "bytes_int8", "bytes_fp32", "peak_activation_bytes")


class Few(WideResNet):
    """Wide ResNets of a space that is searched in no time."""

    family = "few"

    @classmethod
    def axes(cls) -> Any:
        """Depth and widths."""
        every = dict(super().axes())
        return {name: choices[:6] for name, choices in every.items()}


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    FAMILIES["few"] = Few
    yield
    del FAMILIES["few"]


@pytest.fixture(scope="module")
def table_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "board.json"
    write_table(full_table(), path)
    return path


def search(*words: str) -> Any:
    app = typer.Typer()
    app.command()(cli_search.search)
    return CliRunner().invoke(app, list(words))


def told(*words: str) -> dict[str, Any]:
    done = search("--family", "few", *words, "--json")
    assert done.exit_code == 0, done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(*words: str) -> tuple[int, str]:
    """Exit code and line of what is refused; a traceback would be neither."""
    done = search(*words)
    error = done.exception
    assert error is not None, done.stdout
    if isinstance(error, SystemExit):  # an option that typer itself refuses
        return done.exit_code, done.stderr
    assert isinstance(error, Exception)
    line = line_of_error(error)
    assert line, error
    assert "\n" not in line
    return code_of(error), line


def test_people_see_the_largest_first_and_how_to_train_it() -> None:
    out = search("--family", "few", "--macs", "5M", "--top", "3").stdout

    lines = [line for line in out.splitlines() if "WRN" in line]
    assert len(lines) == 3
    assert "within macs 5 M" in out
    command = out.splitlines()[-1]
    assert command.startswith("to train the first: edgestill run RECIPE --set student.family=few")
    assert "'budget={macs = 5000000}'" in command


def test_json_is_one_object_with_every_figure() -> None:
    found = told("--macs", "5M", "--params", "100k", "--top", "4")

    (only,) = found["searches"]
    assert found["ok"] is True
    assert found["device"] is None
    assert only["budget"] == {"macs": 5_000_000, "params": 100_000}
    assert len(only["best"]) == 4
    for each in only["best"]:
        spec = spec_from_json(each["spec"])
        cost = spec.cost()
        assert each["network"] == spec.describe()
        assert {name: each[name] for name in FIGURES} == {
            name: getattr(cost, name) for name in FIGURES
        }
        assert Budget(macs=5_000_000, params=100_000).fits(cost)
        assert each["latency_ms"] is None
    macs = [each["macs"] for each in only["best"]]
    assert macs == sorted(macs, reverse=True)
    assert only["weighed"] >= only["fitting"] >= 4
    for each in only["nearest"]:
        assert each["binds"]["value"] > each["binds"]["allowed"]


def test_ten_are_told_of_one_budget_and_one_of_each_of_several() -> None:
    (one,) = told("--macs", "5M")["searches"]
    several = told("--macs", "4M,5M,6M")["searches"]

    assert len(one["best"]) == 10
    assert [len(each["best"]) for each in several] == [1, 1, 1]
    assert [each["budget"] for each in several] == [
        {"macs": 4_000_000},
        {"macs": 5_000_000},
        {"macs": 6_000_000},
    ]


def test_an_estimate_is_labelled_and_held_to_its_limit() -> None:
    found = told("--macs", "20M", "--device", "orin-nano@15W", "--latency-ms", "0.4")

    assert found["device"]["name"] == "orin-nano-8gb@15W"
    assert found["device"]["estimated"] is True
    for each in found["searches"][0]["best"]:
        latency = each["latency_ms"]
        assert latency["value"] <= 0.4
        assert latency["low"] < latency["value"] < latency["high"]
        assert latency["text"].endswith("estimated")
        assert latency["extrapolates"]
        assert each["energy_mj"] is None


def test_people_see_what_the_estimate_rests_on_and_that_it_extrapolates() -> None:
    out = search("--family", "few", "--macs", "5M", "--device", "orin-nano@15W").stdout

    assert "latency, estimated" in out
    assert "x/÷" in out
    assert "on orin-nano-8gb@15W, not measured: estimated for TensorRT, int8, one image" in out
    assert "*: beyond what was measured" in out
    assert "device" not in out.splitlines()[-1], "nothing is held to it"


def test_a_table_predicts_latency_and_energy(table_file: Path) -> None:
    limits = ("--latency-ms", "0.5", "--energy-mj", "1.5")
    found = told("--macs", "20M", "--device", str(table_file), *limits)

    for each in found["searches"][0]["best"]:
        assert each["latency_ms"]["value"] <= 0.5
        assert each["energy_mj"]["value"] <= 1.5
        assert each["latency_ms"]["estimated"] is False
        assert each["latency_ms"]["text"].endswith("predicted")
    out = search("--family", "few", "--macs", "20M", "--device", str(table_file)).stdout
    assert "latency, predicted" in out
    assert "energy, predicted" in out
    assert "Test board@15W, not measured: predicted for tensorrt 10.3.0, int8, batch 1" in out


@pytest.mark.parametrize(
    "words",
    [
        ("--macs", "5M", "--bytes", "60KB"),
        ("--latency-ms", "0.4", "--device", "orin-nano@15W", "--image-size", "48"),
    ],
)
def test_what_is_set_makes_a_recipe_search_for_the_same(words: tuple[str, ...]) -> None:
    (only,) = told(*words)["searches"]
    changes = [
        f"{key}={json.dumps(value) if not isinstance(value, dict) else _inline(value)}"
        for key, value in only["set"].items()
        if value != "few"  # a family of this test alone
    ]

    recipe = load_recipe("digits", changes)

    limits = {
        name: value
        for name, value in recipe.budget.model_dump(exclude={"device"}).items()
        if value is not None
    }
    assert limits == only["budget"]
    assert recipe.data.image_size == only["set"]["data.image_size"]


def _inline(values: dict[str, Any]) -> str:
    text = ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
    assert tomllib.loads(f"x = {{{text}}}")
    return f"{{{text}}}"


def test_a_budget_that_nothing_fits_says_what_binds_and_exits_1() -> None:
    code, line = refused("--family", "few", "--macs", "100k")

    assert code == 1
    assert "budget.macs = 100,000 binds" in line
    assert "the nearest, WRN" in line


def test_the_nearest_is_told_with_what_is_predicted_of_it() -> None:
    code, line = refused("--macs", "100k", "--device", "orin-nano@15W", "--family", "few")

    assert code == 1
    assert re.search(r"peak_activation_bytes \S+, latency_ms [\d.]+ ms\)", line)


def test_budgets_without_an_answer_are_listed_and_the_others_are_answered() -> None:
    done = search("--family", "few", "--macs", "100k,5M")

    assert isinstance(done.exception, Exception)
    assert code_of(done.exception) == 1
    assert str(done.exception) == "no network fits within: macs 100 k"
    rows = [line for line in done.stdout.splitlines() if "│" in line]
    assert "none fits" in rows[0]
    assert "WRN" in rows[1]
    assert "none: no few for 32x32 images and 10 classes fits: budget.macs = 100,000" in done.stdout


def test_of_several_budgets_none_of_which_is_answered_every_reason_is_told() -> None:
    code, line = refused("--family", "few", "--macs", "100k,200k")

    assert code == 1
    assert "budget.macs = 100,000 binds" in line
    assert "budget.macs = 200,000 binds" in line


def test_json_of_a_budget_without_an_answer_is_whole_and_the_exit_code_1() -> None:
    done = search("--family", "few", "--macs", "100k,5M", "--json")

    found = json.loads(done.stdout)
    assert isinstance(done.exception, Exception)
    assert code_of(done.exception) == 1
    assert found["ok"] is False
    assert [bool(each["best"]) for each in found["searches"]] == [False, True]
    assert "binds" in found["searches"][0]["why_none"]
    assert found["searches"][0]["weighed"] == found["searches"][1]["weighed"]
    assert found["searches"][0]["fitting"] == 0
    assert found["searches"][0]["nearest"][0]["macs"] > 100_000
    assert found["searches"][0]["nearest"][0]["binds"]["allowed"] == 100_000


def test_an_answer_of_one_family_is_enough() -> None:
    class Large(Few):
        family = "large"

        @classmethod
        def axes(cls) -> Any:
            return {name: choices[-1:] for name, choices in WideResNet.axes().items()}

    FAMILIES["large"] = Large
    try:
        done = search("--family", "few", "--family", "large", "--macs", "5M")
    finally:
        del FAMILIES["large"]

    assert done.exit_code == 0
    assert "none fits" in done.stdout
    assert "family" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no limit given; give one or more of --macs, --params, --bytes"),
        (("--macs", "5M", "--macs", "15M"), "--macs was given as 5M and 15M; give it once"),
        (("--macs", "5M,15M", "--params", "1k,2k"), "--macs and --params have several values"),
        (("--macs", "5M,5000k"), "stands twice"),
        (("--macs", ""), "--macs : '' is no quantity"),
        (("--macs", "5M,"), "--macs 5M,: '' is no quantity"),
        (("--macs", "0"), "--macs 0: '0' must be above zero"),
        (("--macs", "-5M"), "'-5M' is no quantity"),
        (("--macs", "nan"), "'nan' is no quantity"),
        (("--bytes", "200KiB"), "'200KiB' is no quantity"),
        (("--latency-ms", "2"), "--latency-ms holds on some device"),
        (("--macs", "5M", "--energy-mj", "2"), "--energy-mj holds on some device"),
        (("--latency-ms", "2ms", "--device", "orin-nano@15W"), "'2ms' is no number above zero"),
        (("--latency-ms", "nan", "--device", "orin-nano@15W"), "'nan' is no number"),
        (("--latency-ms", "inf", "--device", "orin-nano@15W"), "'inf' is no number"),
        (("--latency-ms", "-1", "--device", "orin-nano@15W"), "'-1' is no number"),
        (("--energy-mj", "0", "--device", "orin-nano@15W"), "'0' is no number"),
        (("--energy-mj", "8", "--device", "orin-nano@15W"), "energy is not known"),
        (("--macs", "5M", "--device", "orin-nan@15W"), "no known module; did you mean"),
        (("--macs", "5M", "--device", "orin-nano@1W"), "no such power mode"),
        (
            ("--macs", "5M", "--device", "orin-nano", "--device", "agx-orin@MAXN"),
            "--device was given as orin-nano and agx-orin@MAXN; give it once",
        ),
        (("--macs", "5M", "--device", "absent.json"), "absent.json: No such file"),
        (("--macs", "5M", "--precision", "int8"), "it needs a --device"),
        (("--macs", "5M", "--device", "thor@MAXN", "--precision", "int4"), "precision 'int4'"),
        (("--macs", "5M", "--family", "widresnet"), "did you mean 'wideresnet'?"),
        (("--params", "1500", "--classes", "2000"), "2,000 classes take 2,000 at least"),
        (("--peak-activation-bytes", "3k", "--image-size", "64"), "one image of 64x64 pixels"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(words: tuple[str, ...], said: str) -> None:
    family = () if "--family" in words else ("--family", "few")

    code, line = refused(*family, *words)

    assert code == 2
    assert said in line


@pytest.mark.parametrize(
    "words",
    [
        ("--image-size", "7"),
        ("--image-size", "4096"),
        ("--image-size", "big"),
        ("--classes", "0"),
        ("--top", "0"),
        ("--top", "1.5"),
    ],
)
def test_a_number_out_of_its_range_is_refused(words: tuple[str, ...]) -> None:
    assert refused("--family", "few", "--macs", "5M", *words)[0] == 2


def test_a_table_without_energy_names_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "bare.json"
    write_table(without_energy(), path)

    code, line = refused("--macs", "5M", "--energy-mj", "8", "--device", str(path))

    assert code == 2
    assert "no power rail" in line
    assert "edgestill calibrate" in line


def test_the_same_limit_twice_with_one_value_is_one_limit() -> None:
    assert told("--macs", "5M", "--macs", "5000k")["searches"][0]["budget"] == {"macs": 5_000_000}


NUMBERS = "0 -1 1 5M 5M,6M 1e99 1e-99 nan inf -inf ½ , k 1_000 1e5 0x10 true 9999999999999999999"
ODD = st.sampled_from(["", "5 M", "\x00", "5\n6", "--macs", *NUMBERS.split()]) | st.text(max_size=6)
OPTIONS = """macs params bytes peak-activation-bytes latency-ms energy-mj device precision top
classes image-size"""


@given(st.dictionaries(st.sampled_from(OPTIONS.split()), ODD, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_no_option_brings_a_traceback(options: dict[str, str]) -> None:
    words = [f"--{name}={value}" for name, value in options.items()]

    done = search("--family", "few", *words, "--json")

    error = done.exception
    if isinstance(error, SystemExit) or error is None:
        assert done.exit_code in (0, 2)
    else:
        assert isinstance(error, Exception)
        assert code_of(error) in (1, 2), error


def test_help_needs_no_heavy_package() -> None:
    code = (
        "import sys\nsys.argv = ['edgestill', 'search', '--help']\n"
        "from edgestill.pipeline.cli import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "--latency-ms" in done.stdout
    assert "Example: edgestill search" in " ".join(done.stdout.split())
    assert not {"torch", "numpy", "onnx"} & set(done.stderr.split())
