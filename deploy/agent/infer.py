"""Outputs of an ONNX model for given inputs: python3 infer.py MODEL INPUTS.npy OUTPUTS.npy THREADS

A script that runs alone, in an emulator or on a board. INPUTS.npy holds whole batches in the
model's type, (batches, N, C, H, W); OUTPUTS.npy gets (batches, N, K). Stdout gets one JSON object:
{"onnxruntime", "machine"}, with "error" and exit code 1 if the model does not load or run.
"""

from __future__ import annotations

import json
import platform
import sys
from typing import Any


def outputs(model: str, batches: Any, threads: int) -> list[Any]:
    """The first output of `model` for each of `batches`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return [session.run(None, {name: batch})[0] for batch in batches]


def run(model: str, inputs: str, answers: str, threads: str) -> dict[str, str]:
    """What main prints."""
    import numpy
    import onnxruntime

    told = {"onnxruntime": str(onnxruntime.__version__), "machine": platform.machine()}
    batches = numpy.load(inputs, allow_pickle=False)
    try:
        found = outputs(model, batches, int(threads))
    except Exception as error:  # ONNX Runtime's error types share no base class but this one
        return {**told, "error": str(error)}
    numpy.save(answers, numpy.stack(found), allow_pickle=False)
    return told


if __name__ == "__main__":
    report = run(*sys.argv[1:])
    print(json.dumps(report))
    sys.exit("error" in report)
