"""What the profile stage left, target by target, under the names that figures go by.

The first target's files are called as they are ("teacher", "ort-x86"), those of a further one
"teacher@orin".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .board_facts import board_facts, machine_of
from .material import PlacePiece
from .networks import read_json
from .wording import NOT_MEASURED, number


@dataclass(frozen=True, kw_only=True)
class Place:
    """One target and what was measured there."""

    name: str
    suffix: str
    """Of its files' names; empty for the first target."""
    board: dict[str, Any]
    told: dict[str, Any]
    """Its part of measurements.json."""

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """{file: its measurement as JSON}."""
        return dict(self.told["files"])

    @property
    def is_local(self) -> bool:
        return bool(self.told["settings"]["target"] == "local")

    @property
    def machine(self) -> str:
        mode = next(iter(self.files.values()))["power_mode"]
        return machine_of(self.board) + (f", {mode}" if mode else "")


def places_of(folder: Path) -> tuple[Place, ...]:
    """The targets in the order of the recipe; `folder` is the profile stage's artifact."""
    measured = read_json(folder / "measurements.json")
    boards = read_json(folder / "board.json")
    return tuple(
        Place(
            name=name,
            suffix=f"@{name}" if index else "",
            board=boards[name],
            told=measured["targets"][name],
        )
        for index, name in enumerate(measured["order"])
    )


def conditions_of(place: Place, file: str) -> dict[str, Any]:
    """Where and how a file was timed, for the summary."""
    figures = place.files[file]
    engine = f"{figures['engine']} {figures['engine_version']}"
    if figures["engine"] == "onnxruntime" and figures["provider"] != "CPUExecutionProvider":
        engine += f" ({figures['provider']})"
    return {
        "machine": place.machine,
        "engine": engine,
        "runs": figures["runs"],
        "batch": figures["batch"],
        "threads": figures["threads"],
    }


def place_piece(place: Place) -> PlacePiece:
    """What the report tells of a target beside the figures of its files."""
    files = place.files
    flags: dict[tuple[str, str | None, bool], list[str]] = {}
    for name, figures in files.items():
        for flag in figures["flags"]:
            flags.setdefault((flag["text"], flag["remedy"], flag["grave"]), []).append(name)
    first = next(iter(files.values()))
    return PlacePiece.model_validate(
        {
            "name": place.name,
            "suffix": place.suffix,
            "facts": {**board_facts(place.board), **_settings(first)},
            "flags": [
                {
                    "text": text,
                    "remedy": remedy,
                    "grave": grave,
                    "files": names if len(names) < len(files) else [],
                }
                for (text, remedy, grave), names in flags.items()
            ],
            "comparisons": [
                {key: each[key] for key in ("subject", "baseline", "verdict")}
                for each in place.told["comparisons"]
            ],
            "power": place.told["power"],
            "idle_power_mw": first["idle_power_mw"],
            "windows": {
                name: [
                    (each["start_s"], each["stop_s"])
                    for each in figures["slices"]
                    if not each["earlier"]
                ]
                for name, figures in files.items()
            },
        }
    )


def _settings(first: dict[str, Any]) -> dict[str, str]:
    locked = {True: "yes", False: "no", None: None}[first["clocks_locked"]]
    idle_mw = first["idle_power_mw"]
    told = {
        "power mode": first["power_mode"],
        "clocks locked": locked,
        "rounds": str(len(first["slices"])),
        "energy": first["energy_source"]
        if first["energy_mj"] is not None
        else f"{NOT_MEASURED}: {first['energy_source']}",
        "total power": first["energy_rule"],
        "idle power": idle_mw and f"{number(idle_mw / 1000)} W",
    }
    return {name: value for name, value in told.items() if value}
