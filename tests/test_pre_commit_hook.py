""".pre-commit-hooks.yaml, run by pre-commit itself in a repository with ONNX models."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .scaled_model import BROKEN, SOUND, write_model

ROOT = Path(__file__).parents[1]
HERE = Path(sys.executable).parent


def run(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command in `folder`, with git and pre-commit as on a fresh machine."""
    # Under a git hook, git's own variables would name another repository.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ = kept | {
        "PATH": f"{HERE}{os.pathsep}{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(folder.parent / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "OMP_NUM_THREADS": "1",
        **{
            f"GIT_{who}_{what}": "a@b.c"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    return subprocess.run(
        words,
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )


def committed(folder: Path) -> str:
    """Makes `folder` a repository of what is in it; the commit."""
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        done = run(folder, "git", *words)
        assert done.returncode == 0, done.stdout
    return run(folder, "git", "rev-parse", "HEAD").stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose .pre-commit-config.yaml names a clone of this one."""
    home = tmp_path_factory.mktemp("home")
    (home / "edgestill").mkdir()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", home / "edgestill")
    revision = committed(home / "edgestill")
    folder = home / "my project"
    (folder / "models").mkdir(parents=True)
    (folder / "ci").mkdir()
    (folder / "ci" / "contract.toml").write_text("[check]\nmax_bytes = 1000\n")
    write_model(folder / "models" / "a b.onnx", SOUND)
    write_model(folder / "models" / "c.onnx", SOUND)
    (folder / "notes.txt").write_text("no model\n")
    hook = {"id": "edgestill-check", "args": ["--contract", "ci/contract.toml", "--"]}
    repo = {"repo": str(home / "edgestill"), "rev": revision, "hooks": [hook]}
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [repo]}))
    committed(folder)
    return folder


def test_it_is_a_manifest_that_pre_commit_takes() -> None:
    done = run(ROOT, HERE / "pre-commit", "validate-manifest", ".pre-commit-hooks.yaml")

    assert done.returncode == 0, done.stdout


def test_the_readme_names_the_hook() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    (config,) = [yaml.safe_load(each) for each in blocks if "hooks:" in each]

    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [each["id"] for repo in config["repos"] for each in repo["hooks"]] == [hook["id"]]


def test_models_that_hold_their_contract_pass(project: Path) -> None:
    done = run(project, HERE / "pre-commit", "run", "--all-files", "--verbose")

    assert done.returncode == 0, done.stdout
    assert "edgestill check" in done.stdout
    assert "models/a b.onnx: passed: " in done.stdout
    assert "models/c.onnx: passed: " in done.stdout
    assert "WARNING" not in done.stdout


def test_a_model_that_does_not_hold_stops_the_commit(project: Path) -> None:
    installed = run(project, HERE / "pre-commit", "install")
    assert installed.returncode == 0, installed.stdout
    write_model(project / "models" / "c.onnx", BROKEN)
    run(project, "git", "add", "models/c.onnx")

    done = run(project, "git", "commit", "-m", "a broken model")

    assert done.returncode == 1, done.stdout
    assert "models/c.onnx: failed: " in done.stdout
    assert "a b.onnx" not in done.stdout
    assert run(project, "git", "log", "--oneline").stdout.count("\n") == 1


def test_a_commit_without_models_is_not_checked(project: Path) -> None:
    done = run(project, HERE / "pre-commit", "run", "--files", "notes.txt")

    assert done.returncode == 0
    assert "(no files to check)Skipped" in done.stdout
