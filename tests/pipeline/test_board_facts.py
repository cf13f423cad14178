"""A device in words."""

from __future__ import annotations

import json
from typing import Any

from edgestill.pipeline.board_facts import board_facts, machine_of

from .profiles import BOARD

ORIN: dict[str, Any] = {
    **BOARD,
    "machine": "aarch64",
    "device": "NVIDIA Jetson Orin Nano Developer Kit",
    "jetson": {"module": "Jetson Orin Nano 8GB", "soc": "t234", "jetpack": "6.2", "l4t": "36.4.3"}
    | {"sm_count": 8},
    "cpu": {"model": "Cortex-A78AE", "cores_online": 6},
    "memory": {"total_bytes": 7_990_000_000},
    "software": {"tensorrt": "10.3.0", "cuda": "12.6"},
    "engines": {"onnxruntime": {"version": "1.20.0", "providers": ["CPUExecutionProvider"]}},
    "conditions": {
        "gpu": None,
        "clocks": [{"name": "gpu", "current_mhz": 624.75, "locked": True}],
    },
}


def test_a_host_is_its_processor_and_a_jetson_its_module() -> None:
    assert machine_of(BOARD) == "Test CPU (x86_64), 2 cores"
    assert machine_of(ORIN) == "Jetson Orin Nano 8GB (aarch64), 6 cores"


def test_a_desktop_gpu_is_named_beside_the_processor() -> None:
    board = {**BOARD, "conditions": {"gpu": {"name": "NVIDIA RTX 4090"}}}

    assert machine_of(board) == "Test CPU (x86_64), 2 cores, NVIDIA RTX 4090"


def test_what_a_board_told_is_there_and_what_it_could_not_is_left_out() -> None:
    facts = board_facts(ORIN)

    assert facts["JetPack"] == "6.2, L4T 36.4.3"
    assert facts["TensorRT"] == "10.3.0"
    assert facts["clocks"] == "gpu 625 MHz locked"
    assert facts["memory"] == "7.99 GB"
    assert "NVIDIA driver" not in facts and "container" not in facts
    assert "None" not in json.dumps(facts)
