"""What several tests of the models share."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file
from torch import Tensor

# Forks a process for each rank, so that torch is imported once and not by every one of them.
STARTER = """
import os, runpy, sys
from pathlib import Path
path, folder, *ranks = sys.argv[1:]
main = runpy.run_path(path)["main"]
children = []
for rank in ranks:
    child = os.fork()
    if child == 0:
        main(Path(folder), *map(int, rank.split("-")))
        sys.exit(0)
    children.append(child)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


@pytest.fixture(scope="module")
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Tensor]]:
    """What processes that run the test's own `main` left: "alone", and "0" and "1" of two.

    It is called with a folder, its rank and the number of processes, and leaves <rank>-<count>.st
    in the folder.
    """
    folder = tmp_path_factory.mktemp("processes")
    ranks = {"alone": "0-1", "0": "0-2", "1": "1-2"}
    done = subprocess.run(
        [sys.executable, "-c", STARTER, str(request.path), str(folder), *ranks.values()],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return {name: load_file(folder / f"{rank}.st") for name, rank in ranks.items()}
