"""From the artifacts of a run to its summary and to what the report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..deploy.agent.trust import GRAVE_SPREAD
from .board_facts import machine_of
from .budget_lines import COSTS, budget_lines
from .measured import Place, conditions_of, place_piece, places_of
from .networks import read_json
from .summary import Summary

if TYPE_CHECKING:
    from .inputs import Inputs
    from .material import Material
    from .recipe import Recipe

NOT_HERE = "runs on {where}; {here} cannot time it"
WHERE = {
    "tensorrt": "a device with TensorRT",
    "ort-x86": "ONNX Runtime on x86-64",
    "ort-arm64": "ONNX Runtime on 64-bit Arm",
}


def summary_of(inputs: Inputs, settings: Recipe, accuracy: dict[str, Any], images: int) -> Summary:
    """The run in figures; `accuracy` and its n come from the test split."""
    metrics = {name: each.manifest.metrics for name, each in inputs.artifacts.items()}
    fusion = read_json(inputs["export"] / "fusion.json")
    places = places_of(inputs["profile"])
    sizes: Any = metrics["export"]["bytes"]
    teacher_refused = read_json(inputs["export"] / "export.json")["teacher"]
    names = ["teacher", "student", *fusion]
    timed = {f"{name}{place.suffix}": (place, name) for place in places for name in place.files}
    figures = {key: place.files[name] for key, (place, name) in timed.items()}
    keys = [*names, *(key for key in timed if key not in names)]
    reasons = _why_not_timed([name for name in names if name not in timed], places, teacher_refused)
    for name in COSTS:
        if metrics["teacher"].get(name) is None:
            reasons[f"cost_teacher.{name}"] = "fvcore cannot count the teacher; see the run's notes"
    lines = budget_lines(settings.budget, metrics["shortlist"], places)
    machine = _this_machine(places)
    return Summary.model_validate(
        {
            "recipe": settings.name,
            "machine": machine,
            "held_out_images": images,
            "accuracy": accuracy,
            "counted_in": {
                "teacher": "torch",
                **dict.fromkeys(("student", *accuracy["int8"]), "onnxruntime"),
            },
            "cost": {name: metrics["shortlist"][name] for name in COSTS},
            "cost_teacher": {name: metrics["teacher"].get(name) for name in COSTS},
            "budget": lines.budget,
            "estimated": lines.estimated,
            "latency_ms": {
                key: {q: figures[key]["latency_ms"][q] for q in ("p50", "p90", "p99")}
                if key in figures
                else None
                for key in keys
            },
            "measured": {key: conditions_of(place, name) for key, (place, name) in timed.items()},
            "unsteady": unsteady(figures),
            "energy_mj": {
                key: figures[key]["energy_mj"] if key in figures else None for key in keys
            },
            "energy_source": {key: each["energy_source"] for key, each in figures.items()},
            "fusion": {
                name: {"int8": each["int8"], "total": each["total"]}
                for name, each in fusion.items()
            },
            "file_bytes": {
                "teacher": sizes.get("teacher.fp32.onnx"),
                "student": sizes["model.fp32.onnx"],
                **{name: sizes[f"model.{name}.onnx"] for name in fusion},
            },
            "not_measured": reasons | lines.not_measured,
        }
    )


def unsteady(figures: dict[str, Any]) -> dict[str, float]:
    """{file: spread} of those that were gravely flagged as unstable.

    By the flag's own limit: every file of a measurement carries the flags of all of them.
    """
    return {key: each["spread"] for key, each in figures.items() if each["spread"] > GRAVE_SPREAD}


def _why_not_timed(
    names: list[str], places: tuple[Place, ...], teacher_refused: str
) -> dict[str, str]:
    """{path of a null: its reason} for files that the first target did not time."""
    reasons = {}
    first = places[0]
    here = "this machine" if first.is_local else first.name
    for name in names:
        why = teacher_refused
        if name in WHERE:
            why = NOT_HERE.format(where=WHERE[name], here=here)
        elsewhere = [place.name for place in places if name in place.files]
        if elsewhere:
            why = f"not timed on {first.name}; its figures on {', '.join(elsewhere)} are below"
        reasons[f"latency_ms.{name}"] = reasons[f"energy_mj.{name}"] = why
    return reasons


def _this_machine(places: tuple[Place, ...]) -> str:
    """Where the run itself takes place."""
    from ..deploy.session import probe

    local = [place.board for place in places if place.is_local]
    return machine_of(local[0] if local else probe())


def material_of(inputs: Inputs, graphs: dict[str, Any]) -> Material:
    """Histories, candidates, samples, graphs and check lines, for the report."""
    from .material import Material

    manifests = {name: each.manifest for name, each in inputs.artifacts.items()}
    places = places_of(inputs["profile"])
    measured = {
        f"{name}{place.suffix}": figures
        for place in places
        for name, figures in place.files.items()
    }
    checked = read_json(inputs["check"] / "check.json")["targets"]
    trained = ("teacher", "distill", "quantize")
    return Material.model_validate(
        {
            "histories": {name: read_json(inputs[name] / "history.json") for name in trained},
            "candidates": read_json(inputs["shortlist"] / "candidates.json"),
            "candidates_weighed": manifests["shortlist"].metrics["weighed"],
            "latency_samples_ms": {name: each["samples_ms"] for name, each in measured.items()},
            "places": [place_piece(place) for place in places],
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
