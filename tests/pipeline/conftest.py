"""A finished run as the report gets it: two INT8 files, of which one could not be timed here."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from edgestill.pipeline.material import Material
from edgestill.pipeline.summary import Summary

TIMED = {
    "machine": "Test CPU, 2 cores",
    "engine": "onnxruntime",
    "runs": 300,
    "batch": 1,
    "threads": 1,
}
SUMMARY: dict[str, Any] = {
    "recipe": "digits",
    "machine": "Test CPU, 2 cores",
    "held_out_images": 360,
    "counted_in": {"teacher": "torch", "ort-x86": "onnxruntime"},
    "stages": {"teacher": {"key": "9f31c2a8d0e155", "status": "ran", "seconds": 12.34}},
    "accuracy": {"teacher": 0.98, "student": 0.97, "int8": {"ort-x86": 0.96, "tensorrt": None}},
    "cost": {
        "macs": 2_812_416,
        "params": 58_114,
        "bytes_fp32": 232_456,
        "bytes_int8": 60_000,
        "peak_activation_bytes": 98_304,
    },
    "cost_teacher": {"macs": 27_180_000, "params": 175_066, "bytes_fp32": 720_000},
    "budget": {"macs": {"limit": 3_000_000, "value": 2_812_416, "met": True}},
    "latency_ms": {
        "teacher": {"p50": 1.8, "p90": 1.9, "p99": 2.4},
        "student": {"p50": 0.6, "p90": 0.7, "p99": 0.8},
        "ort-x86": {"p50": 0.3, "p90": 0.35, "p99": 0.4},
        "tensorrt": None,
    },
    "measured": {"teacher": TIMED, "student": TIMED, "ort-x86": TIMED},
    "energy_mj": {"teacher": None, "student": None, "ort-x86": None, "tensorrt": None},
    "energy_source": {"teacher": "no readable counter", "student": "no readable counter"},
    "fusion": {"ort-x86": {"int8": 20, "total": 21}, "tensorrt": {"int8": 20, "total": 21}},
    "not_measured": {
        "latency_ms.tensorrt": "needs an NVIDIA device",
        "accuracy.int8.tensorrt": "needs an NVIDIA device",
        "energy_mj.ort-x86": "no readable counter",
        "energy_mj.tensorrt": "needs an NVIDIA device",
    },
    "artifacts": {"student": "store/distill/b1c2/student.safetensors"},
}


@pytest.fixture
def summary_json() -> dict[str, Any]:
    return copy.deepcopy(SUMMARY)


@pytest.fixture(scope="session")
def summary() -> Summary:
    return Summary.model_validate(SUMMARY)


@pytest.fixture(scope="session")
def material() -> Material:
    chance = np.random.default_rng(0)
    graph = chance.random((6, 6))
    samples = {
        name: (middle * (1 + 0.05 * chance.random(300))).tolist()
        for name, middle in (("teacher", 1.8), ("student", 0.6), ("ort-x86", 0.3))
    }
    return Material.model_validate(
        {
            "histories": {
                "distill": [
                    {"epoch": 1, "loss": 9.0, "terms": {"cross_entropy": 2.0, "gkd": 7.0}},
                    {
                        "epoch": 2,
                        "loss": 1.2,
                        "terms": {"cross_entropy": 0.2, "gkd": 1.0},
                        "top1": 0.9,
                    },
                ],
            },
            "candidates": [
                {"spec": "WRN-16 (8, 16, 24)", "macs": 2_812_416, "params": 58_114, "fits": True}
                | {"chosen": True, "why": "most MACs of those that fit"},
                {"spec": "WRN-22 (8, 16, 24)", "macs": 3_900_000, "params": 70_000, "fits": False},
            ],
            "latency_samples_ms": samples,
            "graphs": {
                "labels": np.array([1, 0, 1, 0, 1, 0]),
                "blocks": [{"name": "stage1", "teacher": graph, "student": graph}],
            },
            "check_lines": [
                {"name": "opset", "verdict": "pass", "found": 18, "target": "ort-x86"},
                {"name": "top1_drop", "verdict": "fail", "found": 0.0139, "expected": "<= 0.01"}
                | {"target": "ort-x86", "why": "0.9583 against 0.9722"},
            ],
            "fusion": {
                "ort-x86": {"int8": 20, "total": 21, "source": "onnxruntime", "qdq_left": 2}
                | {"float_islands": [{"name": "/head/Gemm", "op": "Gemm", "reason": "logits"}]}
            },
            "layer_costs": [
                {"layer": "stage1.conv", "divergence": 0.25, "changed": 0.031, "kept_float": True},
                {"layer": "head.linear", "divergence": 0.0012, "changed": 0.0},
            ],
            "energy_notes": ["No readable counter on this machine."],
            "environment": {"python": "3.13.1"},
        }
    )
