"""action.yml, run step by step as the runner of GitHub Actions does it, on real models."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from edgestill.export.check_formats import json_schema

from .scaled_model import BROKEN, SOUND, write_model

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
HERE = Path(sys.executable).parent


@dataclass
class Runner:
    """A job's folder and what the runner keeps for it."""

    workspace: Path
    temp: Path
    environ: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    log: str = ""
    used: dict[str, Any] = field(default_factory=dict)
    """Other actions that were to be run, with their inputs."""

    def run(self, **inputs: str) -> tuple[int, dict[str, str]]:
        """The action with `inputs`: exit code of the step that failed, else 0, and its outputs."""
        unknown = inputs.keys() - ACTION["inputs"].keys()
        assert not unknown
        given = {name: inputs.get(name, each["default"]) for name, each in ACTION["inputs"].items()}
        context = {f"inputs.{name}": value for name, value in given.items()}
        context["github.action_path"] = str(ROOT)
        code = 0
        for step in ACTION["runs"]["steps"]:
            if "if" in step and evaluated(step["if"], context) != "true":
                continue
            if "uses" in step:
                settings = {n: evaluated(text, context) for n, text in step["with"].items()}
                self.used[step["uses"]] = settings
                continue
            code, outputs = self._step(step, context)
            context |= {f"steps.{step['id']}.outputs.{n}": v for n, v in outputs.items()}
            if code:
                break
        outputs = {n: evaluated(each["value"], context) for n, each in ACTION["outputs"].items()}
        return code, outputs

    def _step(
        self, step: Mapping[str, Any], context: Mapping[str, str]
    ) -> tuple[int, dict[str, str]]:
        assert step["shell"] == "bash"
        script, output, summary = (self.temp / n for n in ("step.sh", "output", "summary.md"))
        script.write_text(step["run"])
        output.write_text("")
        summary.write_text("")
        environ = {
            "PATH": f"{HERE}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.temp),
            "OMP_NUM_THREADS": "1",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "RUNNER_TEMP": str(self.temp),
            **self.environ,
            **{name: evaluated(text, context) for name, text in step["env"].items()},
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.workspace,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )
        self.log += done.stdout
        self.summary += summary.read_text()
        return done.returncode, outputs_in(output.read_text())


def evaluated(text: str, context: Mapping[str, str]) -> str:
    """`text` with its expressions replaced; what the context lacks is empty, as on GitHub."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: expression(found[1], context), text)


def expression(text: str, context: Mapping[str, str]) -> str:
    if "&&" in text:
        both = {expression(part, context) for part in text.split("&&")}
        return "true" if both == {"true"} else "false"
    if comparison := re.fullmatch(r"\s*(\S+)\s*([!=]=)\s*'([^']*)'\s*", text):
        name, sign, value = comparison.groups()
        return str((context.get(name, "") == value) == (sign == "==")).lower()
    assert re.fullmatch(r"\s*[a-z_.-]+\s*", text), text
    return context.get(text.strip(), "")


def outputs_in(text: str) -> dict[str, str]:
    """What a step wrote to GITHUB_OUTPUT: name=value, or name<<end and lines up to that end."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, several, end = line.partition("<<")
        if several:
            values = []
            while (value := next(lines)) != end:
                values.append(value)
            found[name] = "\n".join(values)
        else:
            name, _, found[name] = line.partition("=")
    return found


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    (tmp_path / "work space").mkdir()
    (tmp_path / "runner temp").mkdir()
    return Runner(tmp_path / "work space", tmp_path / "runner temp")


def test_it_keeps_the_schema_of_an_action() -> None:
    command = [str(HERE / "check-jsonschema"), "--builtin-schema", "vendor.github-actions"]

    done = subprocess.run([*command, str(ROOT / "action.yml")], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


def test_no_input_becomes_part_of_a_script() -> None:
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]

    assert len(scripts) == 2
    for script in scripts:
        assert "${{" not in script
        assert "eval" not in script


def test_every_input_is_used() -> None:
    steps = json.dumps(ACTION["runs"]["steps"])

    assert [n for n in ACTION["inputs"] if f"inputs.{n}" not in steps] == []


def test_the_readme_shows_inputs_and_outputs_that_exist() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    (job,) = [yaml.safe_load(each) for each in blocks if "/edgestill@" in each]

    (steps,) = [each["steps"] for each in job["jobs"].values()]
    (ours,) = [step for step in steps if "/edgestill@" in step["uses"]]
    assert ours["with"].keys() <= ACTION["inputs"].keys()
    outputs = set(re.findall(rf"steps\.{ours['id']}\.outputs\.(\w+)", str(job)))
    assert outputs
    assert outputs <= ACTION["outputs"].keys()


def test_models_are_checked_and_their_reports_are_outputs(runner: Runner) -> None:
    write_model(runner.workspace / "models" / 'it\'s "good" $(touch pwned);.onnx', SOUND)
    write_model(runner.workspace / "models" / "b[1].onnx", SOUND)
    write_model(runner.workspace / "bad one.onnx", BROKEN)
    (runner.workspace / "c.toml").write_text("[check]\ndynamic_batch = true\n")

    code, outputs = runner.run(
        model="models/b[1].onnx\nbad one.onnx\r\n\nmodels/it*.onnx\n",
        contract="c.toml",
        args="--threads\n2",
        install="false",
    )

    assert (code, outputs["ok"]) == (1, "false"), runner.log
    told = json.loads(Path(outputs["json"]).read_text())
    jsonschema.validate(told, json.loads(json_schema()))
    assert {Path(each["model"]).name: each["ok"] for each in told["reports"]} == {
        "b[1].onnx": True,
        "bad one.onnx": False,
        'it\'s "good" $(touch pwned);.onnx': True,
    }
    assert all("dynamic_batch" in {n["name"] for n in r["lines"]} for r in told["reports"])
    assert Path(outputs["junit"]).read_text().count("<testsuite ") == 3
    (run,) = json.loads(Path(outputs["sarif"]).read_text())["runs"]
    assert "bad%20one.onnx" in {artifact["location"]["uri"] for artifact in run["artifacts"]}
    assert "2 of 3 models hold their contract" in Path(outputs["markdown"]).read_text()
    assert "2 of 3 models hold their contract" in runner.summary
    assert re.search(r"^::error file=bad one.onnx,title=", runner.log, flags=re.MULTILINE)
    # The table has names from the models in it, which must not be taken for commands.
    table = re.search(r"^::stop-commands::(\w+)$(.*)^::\1::$", runner.log, flags=re.M | re.S)
    assert table
    assert "bad one.onnx: failed: " in table[2]
    assert sorted(path.name for path in runner.workspace.iterdir()) == [
        "bad one.onnx",
        "c.toml",
        "models",
    ]


def test_the_model_of_the_contract_is_checked_where_none_is_named(runner: Runner) -> None:
    write_model(runner.workspace / "models" / "m.onnx", SOUND)
    (runner.workspace / "ci").mkdir()
    (runner.workspace / "ci" / "c.toml").write_text('[check]\nmodel = "../models/m.onnx"\n')

    code, outputs = runner.run(contract="ci/c.toml", install="false", output="re ports")

    assert (code, outputs["ok"]) == (0, "true"), runner.log
    assert outputs["json"] == "re ports/check.json"
    assert json.loads((runner.workspace / "re ports" / "check.json").read_text())["ok"] is True
    assert "::error" not in runner.log


@pytest.mark.parametrize(
    "name", ["model", "contract", "reference", "target", "data", "args", "output"]
)
def test_text_in_an_input_is_never_run(runner: Runner, name: str) -> None:
    evil = (
        "'\"; touch pwned; $(touch pwned) `touch pwned` && touch pwned\n::set-output name=ok::true"
    )
    inputs = {"model": "absent.onnx", "install": "false"} | {name: evil}

    code, outputs = runner.run(**inputs)

    assert (code, outputs["ok"], outputs["json"]) == (2, "false", ""), runner.log
    assert "edgestill: " in runner.log
    assert not list(runner.workspace.rglob("pwned"))


def test_reports_of_an_earlier_check_are_not_taken_for_this_one(runner: Runner) -> None:
    (runner.workspace / "reports").mkdir()
    (runner.workspace / "reports" / "check.json").write_text('{"ok": true}')

    code, outputs = runner.run(model="absent.onnx", install="false", output="reports")

    assert (code, outputs["ok"], outputs["json"]) == (2, "false", "")


def test_python_is_set_up_where_a_version_is_asked_for(runner: Runner) -> None:
    write_model(runner.workspace / "m.onnx", SOUND)

    runner.run(model="m.onnx", version="./absent.whl", **{"python-version": "3.12"})

    ((name, settings),) = runner.used.items()
    assert name.startswith("actions/setup-python@v")
    assert settings == {"python-version": "3.12"}


def test_it_is_installed_apart_and_checks_from_there(runner: Runner, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("pipeline", "models", "export", "deploy"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    # As pip builds it, and in half the time.
    code = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = tmp_path.glob("*.whl")
    write_model(runner.workspace / "m.onnx", SOUND)
    # The other packages come from here; only edgestill itself is installed.
    runner.environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if "site-packages" in p)

    status, outputs = runner.run(
        model="m.onnx", version=str(wheel), **{"pip-args": "--no-deps\n--no-index\n--no-compile"}
    )

    assert (status, outputs["ok"]) == (0, "true"), runner.log
    assert list(Path(runner.temp).glob("edgestill-*/bin/edgestill"))
