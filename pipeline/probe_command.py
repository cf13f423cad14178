"""`edgestill probe`: what a device is, how it is set, what it can measure, and what to do first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .wording import size

HOT_CELSIUS = 90.0  # Orin slows itself down at 99
LABEL = 12  # characters of the longest label


def probe_command(on: str, as_json: bool) -> None:
    """Print what the agent on `on` says of its board, for people or as one JSON object."""
    from ..deploy.session import probe

    board = probe(on)
    print(json.dumps(board, indent=2) if as_json else described(board))


def described(board: dict[str, Any]) -> str:
    """The board as people read it; `board`: as deploy/wire_board.py's Board, dumped."""
    sections = (
        (board["device"] or f"an unnamed {board['machine']} machine", _identity(board)),
        ("software", _software(board)),
        ("settings", _settings(board)),
        ("energy", _energy(board["energy"])),
        ("now", _now(board["conditions"])),
        ("not read", list(board["unread"].items())),
    )
    lines: list[str] = []
    for title, rows in sections:
        if rows:
            wide = max(LABEL, *(len(label) for label, _ in rows))
            lines += ["", title, *(f"  {label:<{wide}}  {text}" for label, text in rows)]
    todo = remedies(board)
    if todo:
        lines += ["", "what to do", *(f"  {remedy}" for remedy in todo)]
    return "\n".join(map(_printable, lines[1:]))


def remedies(board: dict[str, Any]) -> list[str]:
    """What would make figures from this board more believable: the finding, then the command."""
    return list(_remedies(board))


def _remedies(board: dict[str, Any]) -> Iterator[str]:
    conditions, jetson = board["conditions"], board["jetson"]
    loose = [clock["name"] for clock in conditions["clocks"] if clock["locked"] is False]
    governor = board["cpu"]["governor"]
    if jetson and loose:
        yield f"clocks are not locked ({_spans(loose)}): sudo jetson_clocks, after the power mode"
    elif not jetson and governor not in (None, "performance"):
        yield (
            f"the CPU's governor is {governor}: sudo cpupower frequency-set --governor performance"
        )
    for zone in conditions["thermal"]:
        if zone["celsius"] > HOT_CELSIUS:
            yield f"{zone['name']} is at {zone['celsius']:.0f} °C: let it cool, or see to its fan"
    for device in conditions["cooling"]:
        if jetson and device["state"] > 0 and "fan" not in device["name"]:
            yield f"{device['name']} slows the board down now: let it cool, or see to its fan"
    if conditions["gpu"] and conditions["gpu"]["throttle_reasons"]:
        reasons = ", ".join(conditions["gpu"]["throttle_reasons"])
        yield f"the GPU is held back ({reasons})"
    if jetson and any("debug" in path and "emc" in path for path in board["unread"]):
        yield "the memory's clock is for root alone to read: run the probe as root to see it"
    engines = board["engines"]
    if not any(engines.values()):
        yield "no engine to run a model with: python3 -m pip install onnxruntime"
    if board["software"]["tensorrt"] and not engines["tensorrt"]:
        yield (
            f"TensorRT is here, its Python package is not one of Python {board['python']}: use the"
            " system's Python, or an environment made with --system-site-packages"
        )


def _identity(board: dict[str, Any]) -> list[tuple[str, str]]:
    jetson, cpu, memory = board["jetson"], board["cpu"], board["memory"]
    rows = _jetson(jetson) if jetson else []
    gpu = board["conditions"]["gpu"]
    if gpu:
        rows.append(("GPU", gpu["name"]))
    cores = _unknown(cpu["cores_online"])
    quota = f", {cpu['quota_cores']:g} granted" if cpu["quota_cores"] else ""
    model = cpu["model"] or board["machine"]
    rows.append(("CPU", f"{model}; {cores} cores online, {cpu['cores_usable']} usable{quota}"))
    free = f", {size(memory['available_bytes'])} free" if memory["available_bytes"] else ""
    total = size(memory["total_bytes"]) if memory["total_bytes"] else "unknown"
    rows.append(("memory", total + free))
    rows.append(("system", f"{_unknown(board['os'])}, kernel {_unknown(board['kernel'])}"))
    where = [board["container"] and f"a {board['container']} container"]
    where.append("a virtual machine" if board["virtual_machine"] else None)
    inside = " in ".join(text for text in where if text)
    return rows + ([("inside", inside)] if inside else []) + [("settings id", board["fingerprint"])]


def _jetson(jetson: dict[str, Any]) -> list[tuple[str, str]]:
    part = ", ".join(filter(None, (jetson["part"], jetson["super"] and "Super")))
    module = f"Jetson {_unknown(jetson['module'])}" + (f" ({part})" if part else "")
    carrier = f" on {jetson['carrier']}" if jetson["carrier"] else ""
    sms = f"{_unknown(jetson['sm_count'])} SMs"
    sms += f" ({jetson['sm_source']})" if jetson["sm_source"] else ""
    dla = {0: "no DLA", None: "DLA unknown"}.get(
        jetson["dla_cores"], f"{jetson['dla_cores']} DLA cores"
    )
    capability = f"compute capability {_unknown(jetson['compute_capability'])}"
    return [
        ("module", module + carrier),
        ("SoC", f"{_unknown(jetson['soc'])}: {sms}, {capability}, {dla}"),
        ("L4T", f"{_unknown(jetson['l4t'])}, JetPack {_unknown(jetson['jetpack'])}"),
        *(("note", note) for note in jetson["notes"]),
    ]


def _software(board: dict[str, Any]) -> list[tuple[str, str]]:
    versions, engines = board["software"], board["engines"]
    rows = [("Python", board["python"])]
    names = {
        "nvidia_driver": "driver",
        "cuda": "CUDA",
        "cudnn": "cuDNN",
        "tensorrt": "TensorRT",
    }
    rows += [(label, versions[name]) for name, label in names.items() if versions[name]]
    if engines["tensorrt"]:
        rows.append(("  in Python", engines["tensorrt"]["version"]))
    if engines["trtexec"]:
        rows.append(("trtexec", engines["trtexec"]["path"]))
    runtime = engines["onnxruntime"]
    text = f"{runtime['version']}: {', '.join(runtime['providers'])}" if runtime else "not here"
    return [*rows, ("ONNX Runtime", text)]


def _settings(board: dict[str, Any]) -> list[tuple[str, str]]:
    conditions = board["conditions"]
    rows = []
    mode, modes = conditions["power_mode"], board["power_modes"]
    if board["jetson"]:
        known = ", ".join(f"{each['name']} ({each['id']})" for each in modes)
        now = f"{mode['name']} ({mode['id']})" if mode else "unknown"
        rows.append(("power mode", now + (f"; it knows {known}" if known else "")))
    if board["cpu"]["governor"]:
        rows.append(("governor", board["cpu"]["governor"]))
    return rows + [(_spans(names), text) for text, names in _grouped(conditions["clocks"]).items()]


def _grouped(clocks: list[dict[str, Any]]) -> dict[str, list[str]]:
    """What is said of a clock -> the clocks of which it is true."""
    groups: dict[str, list[str]] = {}
    for clock in clocks:
        locked = {True: "locked", False: "not locked", None: "lock unknown"}[clock["locked"]]
        low, high, now = (_mhz(clock[f"{which}_mhz"]) for which in ("min", "max", "current"))
        groups.setdefault(f"{low} to {high} MHz, {locked}, now {now}", []).append(clock["name"])
    return groups


def _spans(names: list[str]) -> str:
    """cpu0, cpu1, cpu2, gpu -> cpu0-2, gpu

    >>> _spans(["cpu0", "cpu1", "cpu2", "cpu5", "gpu"])
    'cpu0-2, cpu5, gpu'
    """
    runs: list[list[int]] = []
    others = []
    for name in names:
        if not name.startswith("cpu"):
            others.append(name)
        elif runs and int(name[3:]) == runs[-1][1] + 1:
            runs[-1][1] += 1
        else:
            runs.append([int(name[3:])] * 2)
    cores = [f"cpu{a}" if a == b else f"cpu{a}-{b}" for a, b in runs]
    return ", ".join(cores + others)


def _energy(energy: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("metered" if energy["readable"] else "not metered", energy["source"])]
    rows += [("total", energy["rule"])] if energy["rule"] else []
    return rows + ([("rails", ", ".join(energy["rails"]))] if energy["rails"] else [])


def _now(conditions: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    if conditions["load_average"]:
        rows.append(("load", " ".join(f"{load:.2f}" for load in conditions["load_average"])))
    zones = [f"{zone['name']} {zone['celsius']:.1f}" for zone in conditions["thermal"]]
    if zones:
        rows.append(("°C", ", ".join(zones)))
    acting = [
        f"{each['name']} at {each['state']}" for each in conditions["cooling"] if each["state"]
    ]
    if acting:
        rows.append(("cooling", ", ".join(acting)))
    if conditions["fan"]:
        pwm, rpm = (_unknown(conditions["fan"][name]) for name in ("pwm", "rpm"))
        rows.append(("fan", f"PWM {pwm} of 255, {rpm} rpm"))
    if conditions["throttle"]:
        counts = ", ".join(f"{name} {count}" for name, count in conditions["throttle"].items())
        rows.append(("over-current", f"{counts} since boot"))
    gpu = conditions["gpu"]
    if gpu:
        clock, celsius = _mhz(gpu["clock_mhz"]), _unknown(gpu["celsius"])
        rows.append(("GPU", f"{clock} MHz, {celsius} °C"))
    return rows


def _printable(line: str) -> str:
    """The line without what could steer a terminal: its words come from another machine."""
    return "".join(each if each.isprintable() else "?" for each in line)


def _mhz(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _unknown(value: object) -> str:
    return "unknown" if value is None else str(value)
