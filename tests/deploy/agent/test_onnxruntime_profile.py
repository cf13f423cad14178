"""Which work ran elsewhere than it was asked to, by ONNX Runtime's own profile."""

from __future__ import annotations

from edgestill.deploy.agent.onnxruntime_profile import fallback_of


def test_heavy_work_that_ran_elsewhere_is_told_and_light_work_is_not() -> None:
    nodes = [
        {"name": "Conv stem", "by": "CUDA", "us": 9},
        {"name": "FusedConv body", "by": "CPU", "us": 9},
        {"name": "MatMul head", "by": "TRT", "us": 9},
        {"name": "Shape of", "by": "CPU", "us": 1},
        {"name": "Convolve not one", "by": "CPU", "us": 1},
    ]

    assert fallback_of(nodes, ("TRT", "CUDA")) == (
        "convolutions or matrix products that run on CPU: 1"
    )
    assert fallback_of(nodes, ("TRT", "CUDA", "CPU")) is None
