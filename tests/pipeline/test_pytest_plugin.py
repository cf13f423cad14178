"""pytest itself, run as a user runs it, on a sound model and one that is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import onnx
import pytest
from junitparser import JUnitXml
from onnx import numpy_helper

from edgestill.pipeline import pytest_plugin

from .onnx_files import write_convolution

PLUGIN = pytest_plugin.__name__


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two models, contracts, and a test of its own."""
    folder = tmp_path_factory.mktemp("a project")
    (folder / "models").mkdir()
    (folder / "ci").mkdir()
    good = write_convolution(folder / "models" / "good.onnx")
    proto = onnx.load(good)
    (weight,) = proto.graph.initializer
    broken = numpy_helper.to_array(weight).copy()
    broken[0, 0] = 3e38  # finite itself; its sums are not
    weight.CopyFrom(numpy_helper.from_array(broken, weight.name))
    onnx.save(proto, folder / "models" / "bad.onnx")
    contracts = {
        "good": 'model = "../models/good.onnx"\ntarget = "tensorrt"',
        "bad": 'model = "../models/bad.onnx"\ntop1_drop = 0.01',
        "misspelt": 'modle = "x"',
        "nameless": "",
        "gone": 'model = "../models/gone.onnx"',
        "compared": 'model = "../models/good.onnx"\nreference = "../models/gone.onnx"',
    }
    for name, text in contracts.items():
        (folder / "ci" / f"{name}.toml").write_text(f"[check]\n{text}\n")
    (folder / "test_own.py").write_text("def test_own() -> None:\n    pass\n")
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`pytest WORDS` in `folder`, with this plugin alone."""
    outer = ("PYTEST_", "COV_")  # this suite's own settings
    environ = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    command = [sys.executable, "-m", "pytest", "-p", PLUGIN, "-p", "no:cacheprovider", *words]
    return subprocess.run(
        command,
        cwd=folder,
        env=environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def told(found: subprocess.CompletedProcess[str], word: str) -> list[str]:
    return re.findall(rf"^{word} (.*)$", found.stdout, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def both(project: Path) -> subprocess.CompletedProcess[str]:
    """Both models by their contracts, beside the project's own tests."""
    contracts = [f"--edgestill-contract=ci/{name}.toml" for name in ("good", "bad")]
    return run(project, *contracts, "-v", "-rfs", "--junitxml=own.xml")


def test_each_line_of_the_check_is_a_test(both: subprocess.CompletedProcess[str]) -> None:
    assert both.returncode == 1, both.stdout + both.stderr
    assert "test_own.py::test_own PASSED" in both.stdout
    assert "models/good.onnx::batch_invariant PASSED" in both.stdout
    assert "models/bad.onnx::finite FAILED" in both.stdout
    assert "edgestill: models/good.onnx passed: " in both.stdout


def test_a_failed_line_is_told_without_a_traceback(
    both: subprocess.CompletedProcess[str],
) -> None:
    assert "_ models/bad.onnx: finite _" in both.stdout
    assert re.search(r"^found NaN.*; expected finite", both.stdout, flags=re.MULTILINE)
    for word in ("Traceback", "LineFailed", "pytest_plugin.py"):
        assert word not in both.stdout


def test_a_line_with_a_limit_fails_where_it_could_not_be_checked(
    both: subprocess.CompletedProcess[str],
) -> None:
    (limit,) = [line for line in told(both, "FAILED") if "top1_drop" in line]

    assert limit.startswith("models/bad.onnx::top1_drop - not checked: no label")


def test_lines_that_may_stay_open_are_skipped_with_their_reason(
    both: subprocess.CompletedProcess[str],
) -> None:
    skipped = told(both, "SKIPPED")

    assert skipped
    for line in skipped:
        assert re.fullmatch(r"\[1\] models/(good|bad).onnx:1: \w+ not checked: .+", line)


def test_a_name_in_a_model_is_no_command_of_a_ci(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proto = onnx.load(project / "models" / "good.onnx")
    proto.graph.node[0].op_type = "::error::##[set-output name=ok;]true"
    onnx.save(proto, project / "models" / "evil.onnx")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    found = run(project, "--edgestill-contract=ci/nameless.toml", "models/evil.onnx", "-rA")

    assert found.returncode == 1, found.stdout + found.stderr
    assert ":error::## [set-output name=ok;]true" in found.stdout
    assert "##[" not in found.stdout + found.stderr
    assert not re.search(r"^\s*::", found.stdout + found.stderr, flags=re.MULTILINE)


def test_a_mistake_quotes_no_command_either(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "ci" / "evil.toml").write_text('[check]\n"##[set-env]\\u001b[2J" = 1\n')
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    found = run(project, "--edgestill-contract=ci/evil.toml")

    assert found.returncode == 4
    assert r"## [set-env]\x1b[2J" in found.stderr
    assert "##[" not in found.stdout + found.stderr


def test_junit_xml_of_pytest_has_the_lines(
    both: subprocess.CompletedProcess[str], project: Path
) -> None:
    (suite,) = JUnitXml.fromfile(str(project / "own.xml"))

    cases = {(case.classname, case.name): case for case in suite}
    assert cases["models.bad.onnx", "finite"].result[0].message.startswith("found NaN")
    assert not cases["models.good.onnx", "finite"].result


@pytest.mark.long
def test_workers_of_xdist_share_one_check(project: Path) -> None:
    words = ("-p", "xdist", "-n", "2", "-v", "--edgestill-contract=ci/good.toml")

    found = run(project, *words, "models/good.onnx", "models/bad.onnx")

    assert found.returncode == 1, found.stdout + found.stderr
    assert {line[:5] for line in found.stdout.splitlines() if "models/" in line} >= {
        "[gw0]",
        "[gw1]",
    }
    assert "PASSED models/good.onnx::finite" in found.stdout
    assert "FAILED models/bad.onnx::finite - found NaN" in found.stdout


def test_lines_are_collected_and_chosen_by_name(project: Path) -> None:
    words = ("--collect-only", "-q", "-k", "finite or own")

    found = run(project, *words, "--edgestill-contract=ci/good.toml")

    assert found.returncode == 0
    names = [line for line in found.stdout.splitlines() if "::" in line]
    assert sorted(names) == ["models/good.onnx::finite", "test_own.py::test_own"]


@pytest.mark.parametrize(
    ("contract", "says"),
    [
        ("misspelt", "ci/misspelt.toml: [check] modle: unknown key; did you mean 'model'?"),
        ("compared", "models/gone.onnx: no such file"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_code_4(
    project: Path, contract: str, says: str
) -> None:
    found = run(project, f"--edgestill-contract=ci/{contract}.toml")

    assert found.returncode == 4
    (line,) = [line for line in found.stderr.splitlines() if line]
    assert line.startswith("ERROR: edgestill: ")
    assert says in line


@pytest.mark.parametrize(
    ("contracts", "models", "says"),
    [
        (["absent"], [], "ci/absent.toml: cannot be read"),
        (["nameless"], [], "ci/nameless.toml: no key model in [check]; name it there"),
        (["gone"], [], "models/gone.onnx: no such file; expected an ONNX model"),
        ([], ["gone.onnx"], "gone.onnx: no such file; expected an ONNX model"),
        ([], ["a[0].onnx"], "a[0].onnx: pytest takes no path with [ or :: in it"),
        (["good", "good"], [], "models/good.onnx is the model of two contracts; drop one"),
        (["good", "bad"], ["a.onnx"], "several contracts and a model; give one contract"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_to_check_must_be_plain(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    contracts: list[str],
    models: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(project)
    (project / "a[0].onnx").touch()

    with pytest.raises(pytest.UsageError) as caught:
        pytest_plugin.models_with_contracts(
            [Path("ci") / f"{name}.toml" for name in contracts], [Path(model) for model in models]
        )
    assert str(caught.value).startswith(f"edgestill: {says}")


def test_it_is_installed_with_the_package() -> None:
    (found,) = entry_points(group="pytest11", name="edgestill")

    assert found.load() is pytest_plugin


def test_without_its_options_it_does_nothing_and_loads_nothing(project: Path) -> None:
    (project / "test_loaded.py").write_text(
        "import sys\n"
        "def test_loaded():\n"
        "    heavy = {'torch', 'onnx', 'onnxruntime', 'numpy', 'pydantic', 'rich', 'typer'}\n"
        "    assert 'edgestill.pipeline.pytest_plugin' in sys.modules\n"
        "    assert not heavy & sys.modules.keys()\n"
        "    assert [name for name in sys.modules if name.startswith('edgestill.')] == [\n"
        "        'edgestill.pipeline', 'edgestill.pipeline.pytest_plugin'\n"
        "    ]\n"
    )

    found = run(project, "test_loaded.py", "models")

    assert found.returncode == 0, found.stdout
    assert "edgestill" not in found.stdout
    assert "1 passed" in found.stdout
