"""From the artifacts of a run to its summary and to what the report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .networks import read_json
from .summary import Summary

if TYPE_CHECKING:
    from .inputs import Inputs
    from .material import Material
    from .recipe import Recipe

NOT_HERE = "runs on {where}; this machine cannot time it"
WHERE = {
    "tensorrt": "a device with TensorRT",
    "ort-x86": "ONNX Runtime on x86-64",
    "ort-arm64": "ONNX Runtime on 64-bit Arm",
}


def summary_of(inputs: Inputs, settings: Recipe, accuracy: dict[str, Any], images: int) -> Summary:
    """The run in figures; `accuracy` and its n come from the test split."""
    metrics = {name: each.manifest.metrics for name, each in inputs.artifacts.items()}
    fusion = read_json(inputs["export"] / "fusion.json")
    measured = read_json(inputs["profile"] / "measurements.json")
    board = read_json(inputs["profile"] / "board.json")
    sizes: Any = metrics["export"]["bytes"]
    teacher_refused = read_json(inputs["export"] / "export.json")["teacher"]
    names = ["teacher", "student", *fusion]
    files = measured["files"]
    reasons: dict[str, str] = {}
    for name in names:
        if name not in files:
            why = NOT_HERE.format(where=WHERE[name]) if name in WHERE else teacher_refused
            reasons[f"latency_ms.{name}"] = reasons[f"energy_mj.{name}"] = why
    for name in COSTS:
        if metrics["teacher"].get(name) is None:
            reasons[f"cost_teacher.{name}"] = "fvcore cannot count the teacher; see the run's notes"
    told = measured["settings"]
    return Summary.model_validate(
        {
            "recipe": settings.name,
            "machine": machine_of(board),
            "held_out_images": images,
            "accuracy": accuracy,
            "counted_in": {
                "teacher": "torch",
                **dict.fromkeys(("student", *accuracy["int8"]), "onnxruntime"),
            },
            "cost": {name: metrics["search"][name] for name in COSTS},
            "cost_teacher": {name: metrics["teacher"].get(name) for name in COSTS},
            "budget": _budget(settings, metrics["search"]),
            "latency_ms": {
                name: {q: files[name]["latency_ms"][q] for q in ("p50", "p90", "p99")}
                if name in files
                else None
                for name in names
            },
            "measured": {
                name: {
                    "machine": machine_of(board),
                    "engine": f"{figures['engine']} {figures['engine_version']}",
                    "runs": figures["runs"],
                    "batch": told["batch"],
                    "threads": told["threads"],
                }
                for name, figures in files.items()
            },
            "energy_mj": {
                name: files[name]["energy_mj"] if name in files else None for name in names
            },
            "energy_source": {name: figures["energy_source"] for name, figures in files.items()},
            "fusion": {
                name: {"int8": each["int8"], "total": each["total"]}
                for name, each in fusion.items()
            },
            "file_bytes": {
                "teacher": sizes.get("teacher.fp32.onnx"),
                "student": sizes["model.fp32.onnx"],
                **{name: sizes[f"model.{name}.onnx"] for name in fusion},
            },
            "not_measured": reasons,
        }
    )


COSTS = ("macs", "params", "bytes_fp32", "bytes_int8", "peak_activation_bytes")


def material_of(inputs: Inputs, graphs: dict[str, Any]) -> Material:
    """Histories, candidates, samples, graphs and check lines, for the report."""
    from .material import Material

    manifests = {name: each.manifest for name, each in inputs.artifacts.items()}
    measured = read_json(inputs["profile"] / "measurements.json")["files"]
    checked = read_json(inputs["check"] / "check.json")["targets"]
    trained = ("teacher", "distill", "quantize")
    return Material.model_validate(
        {
            "histories": {name: read_json(inputs[name] / "history.json") for name in trained},
            "candidates": read_json(inputs["search"] / "candidates.json"),
            "candidates_weighed": manifests["search"].metrics["weighed"],
            "latency_samples_ms": {name: each["samples_ms"] for name, each in measured.items()},
            "graphs": graphs,
            "check_lines": [
                {**line, "target": target}
                for target, report in checked.items()
                for line in report["lines"]
            ],
            "fusion": read_json(inputs["export"] / "fusion.json"),
            "layer_costs": read_json(inputs["quantize"] / "quantized.json")["costs"],
            "energy_notes": sorted({each["energy_source"] for each in measured.values()}),
            "stages": [
                {"name": name, "key": each.key, "seconds": each.seconds}
                for name, each in manifests.items()
            ],
            "environment": {
                name: str(value) for name, value in manifests["export"].environment.items()
            },
        }
    )


def machine_of(board: dict[str, Any]) -> str:
    """A board's facts in a few words."""
    cpu = board["cpu"]
    return f"{cpu['model'] or 'unknown'} ({board['machine']}), {cpu['cores_online']} cores"


def _budget(settings: Recipe, cost: dict[str, Any]) -> dict[str, Any]:
    from ..models.budget import Budget
    from ..models.cost import Cost

    held = Cost(**{name: cost[name] for name in COSTS})
    limits = Budget(**settings.budget.model_dump()).limits(held)
    return {
        each.name: {"limit": each.limit, "value": each.value, "met": each.met} for each in limits
    }
