"""What several tests of the models share."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file
from torch import Tensor


@pytest.fixture(scope="module")
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Tensor]]:
    """What processes that run the test's own file left: "alone", and "0" and "1" of two.

    The file is called with a folder, its rank and the number of processes, and leaves
    <rank>-<count>.st in the folder.
    """
    folder = tmp_path_factory.mktemp("processes")
    ranks = {"alone": ("0", "1"), "0": ("0", "2"), "1": ("1", "2")}
    running = [
        subprocess.Popen(
            [sys.executable, str(request.path), str(folder), *rank],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ranks.values()
    ]
    for process in running:
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 0, said
    return {name: load_file(folder / f"{'-'.join(rank)}.st") for name, rank in ranks.items()}
