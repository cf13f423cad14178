"""The checking process itself: it ends its child before it goes, and its JSON has no guesses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgestill.export.check_worker import _encoded, _pass_on


def test_numbers_of_numpy_are_numbers_and_what_is_none_is_refused() -> None:
    event = {"figures": {"rows": np.int64(3), "share": np.float32(0.5), "all": np.bool_(True)}}

    assert json.loads(_encoded(event)) == {"figures": {"rows": 3, "share": 0.5, "all": True}}
    with pytest.raises(TypeError, match="a report with PosixPath in it"):
        _encoded({"model": Path("m.onnx")})


def test_where_nobody_reads_any_more_the_child_is_to_be_ended() -> None:
    """It is for the caller to end it: to leave at once, as a broken pipe may suggest, leaves it."""
    heard, tells = os.pipe()
    gone, said = os.pipe()
    os.close(gone)
    os.write(tells, b'{"begun": "runs"}\n')
    try:
        assert _pass_on(heard, said, deadline=time.monotonic() + 60) == "alone"
    finally:
        for descriptor in (heard, tells, said):
            os.close(descriptor)


def test_a_worker_whose_answers_nobody_reads_ends_without_a_word() -> None:
    words = [sys.executable, "-m", "edgestill.export.check_worker", "--spawn"]
    gone, said = os.pipe()
    os.close(gone)
    process = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.PIPE)
    os.close(said)

    assert (process.returncode, process.stderr) == (0, b"")
