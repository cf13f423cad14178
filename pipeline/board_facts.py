"""A device in words, from what it says of itself (board.json)."""

from __future__ import annotations

from typing import Any

from .wording import size


def machine_of(board: dict[str, Any]) -> str:
    """What it is in a few words: "AMD EPYC (x86_64), 2 cores"."""
    cpu, jetson = board["cpu"], board.get("jetson")
    name = cpu["model"]
    if jetson is not None:
        name = jetson["module"] or board["device"]
    parts = [f"{name or 'unknown'} ({board['machine']})", f"{cpu['cores_online']} cores"]
    gpu = board.get("conditions", {}).get("gpu")
    if gpu is not None:
        parts.append(str(gpu["name"]))
    return ", ".join(parts)


def board_facts(board: dict[str, Any]) -> dict[str, str]:
    """What a reader of its figures wants to know, by name; what it could not tell is left out."""
    jetson, software = board.get("jetson") or {}, board.get("software") or {}
    engines, conditions = board.get("engines") or {}, board.get("conditions") or {}
    runtime = engines.get("onnxruntime")
    memory_bytes = (board.get("memory") or {}).get("total_bytes")
    trtexec = engines.get("trtexec")
    facts = {
        "machine": machine_of(board),
        "device": board["device"],
        "SoC": jetson.get("soc"),
        "JetPack": _joined(jetson.get("jetpack"), jetson.get("l4t"), "L4T"),
        "streaming multiprocessors": jetson.get("sm_count"),
        "processor": board["cpu"]["model"] if jetson else None,
        "memory": memory_bytes and size(memory_bytes),
        "system": _joined(board.get("os"), board.get("kernel"), "kernel"),
        "Python": board.get("python"),
        "ONNX Runtime": runtime and f"{runtime['version']}: {', '.join(runtime['providers'])}",
        "TensorRT": software.get("tensorrt") or (engines.get("tensorrt") or {}).get("version"),
        "trtexec": trtexec and (trtexec["version"] or trtexec["path"]),
        "CUDA": software.get("cuda"),
        "NVIDIA driver": software.get("nvidia_driver"),
        "container": board.get("container"),
        "virtual machine": "yes" if board.get("virtual_machine") else None,
        "clocks": ", ".join(map(_clock, conditions.get("clocks") or [])),
        "fingerprint": board["fingerprint"],
    }
    return {name: str(value) for name, value in facts.items() if value}


def _clock(clock: dict[str, Any]) -> str:
    current = clock["current_mhz"]
    at = "unknown" if current is None else f"{current:.0f} MHz"
    held = {True: " locked", False: " not locked", None: ""}[clock["locked"]]
    return f"{clock['name']} {at}{held}"


def _joined(first: str | None, second: str | None, name: str) -> str:
    return ", ".join([*([first] if first else []), *([f"{name} {second}"] if second else [])])
