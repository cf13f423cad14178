"""Stage report: the test split is read here, once; then every figure goes on one page.

Leaves report.html, report.md, summary.json and graphs.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..evaluate import top1, top1_onnx
from ..events import JSON, emit
from ..findings import material_of, summary_of
from ..inputs import Inputs
from ..networks import blocks_of, load_network, read_json, write_json
from ..recipe import Recipe
from ..report import render

GRAPH_IMAGES = 64


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """Judge teacher, student and every INT8 file on the test split, and write it all down."""
    accuracy, images = _accuracy(inputs)
    graphs = _graphs(inputs)
    summary = summary_of(inputs, settings, accuracy, images)
    render(summary, material_of(inputs, graphs), out)
    (out / "summary.json").write_text(summary.model_dump_json(indent=2) + "\n")
    write_json(out / "graphs.json", graphs)
    int8 = ", ".join(f"{name} {100 * share:.2f} %" for name, share in accuracy["int8"].items())
    return {
        "headline": f"test top-1: teacher {100 * accuracy['teacher']:.2f} %,"
        f" student {100 * accuracy['student']:.2f} %, {int8}"
    }


def _accuracy(inputs: Inputs) -> tuple[dict[str, Any], int]:
    test = inputs.data.test
    targets = read_json(inputs["export"] / "export.json")["targets"]
    emit("progress", label="report", done=0, total=2 + len(targets), unit="networks")
    teacher = load_network(
        inputs["teacher"] / "teacher.json", inputs["teacher"] / "teacher.safetensors", test.device
    )
    accuracy: dict[str, Any] = {"teacher": top1(teacher, test), "int8": {}}
    for done, name in enumerate(("fp32", *targets), start=1):
        emit("progress", label="report", done=done, total=2 + len(targets), unit="networks")
        target = None if name == "fp32" else name
        share = top1_onnx(inputs["export"] / f"model.{name}.onnx", test, target)
        if name == "fp32":
            accuracy["student"] = share
        else:
            accuracy["int8"][name] = share
    return accuracy, len(test.labels)


def _graphs(inputs: Inputs) -> dict[str, Any]:
    """Teacher's and student's similarity graphs of some validation images, sorted by class."""
    import numpy as np
    import torch

    from ...models.relation_graph import similarity_graph
    from ...models.taps import Tapped

    validation = inputs.data.validation
    chosen = np.arange(len(validation.labels))[:: max(1, len(validation.labels) // GRAPH_IMAGES)]
    chosen = chosen[:GRAPH_IMAGES]
    chosen = chosen[np.argsort(validation.labels[chosen], kind="stable")]
    images, labels = validation.some(chosen)
    graphs: dict[str, list[Any]] = {}
    for stage, name in (("teacher", "teacher"), ("distill", "student")):
        description = inputs[stage] / f"{name}.json"
        weights = inputs[stage] / f"{name}.safetensors"
        model = load_network(description, weights, images.device)
        blocks = blocks_of(read_json(description), model)
        with torch.inference_mode():
            _, features = Tapped(model, blocks).eval()(images)
            found = [similarity_graph(each).cpu().numpy().round(5).tolist() for each in features]
        graphs[name] = list(zip(blocks, found, strict=True))
    pairs = zip(graphs["teacher"], graphs["student"], strict=True)
    return {
        "labels": labels.tolist(),
        "blocks": [
            {"name": block, "teacher": of_teacher, "student": of_student}
            for (_, of_teacher), (block, of_student) in pairs
        ],
    }
