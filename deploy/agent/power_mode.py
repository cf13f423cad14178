"""The power mode that the board is in, and those that it knows; nothing is changed here."""

from __future__ import annotations

import re
from typing import Any

from .files import Files
from .programs import Programs

CONF = "etc/nvpmodel.conf"
STATUS = "var/lib/nvpmodel/status"


def power_mode(files: Files, programs: Programs) -> dict[str, Any] | None:
    """{"id", "name"} of the current mode; None where there are none or it cannot be read.

    Asked of nvpmodel, as this user and then through sudo; failing both, its state file tells.
    """
    if programs.find("nvpmodel") is None and not files.exists(STATUS):
        return None
    modes = power_modes(files)
    said = programs.run("nvpmodel", "-q")
    mode = parse_query(said.out, modes)
    if mode is None and said.code != 127:
        # As root this is the same command once more, which a lock on nvpmodel may need.
        mode = parse_query(programs.run("nvpmodel", "-q", sudo=True).out, modes)
    if mode is None:
        mode = _from_status(files, modes)
    if mode is None:
        files.unread["power_mode"] = f"nvpmodel -q: {said.last_line}"
    return mode


def power_modes(files: Files) -> list[dict[str, Any]]:
    """{"id", "name"} of each mode in nvpmodel.conf, in its order; [] where there is none."""
    return [{"id": number, "name": name} for number, name, _ in _sections(files)]


def tpc_mask(files: Files, mode: dict[str, Any] | None) -> int | None:
    """The mask of the GPU's TPCs that the mode switches off; None if it has none."""
    for number, _, body in _sections(files):
        if mode is not None and number == mode["id"]:
            match = re.search(r"(?m)^\s*TPC_POWER_GATING\s+TPC_PG_MASK\s+(\d+)\s*$", body)
            return int(match.group(1)) if match else None
    return None


def parse_query(text: str, modes: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The mode that `nvpmodel -q` names, whatever warnings surround it.

    >>> parse_query("NVPM WARN: fan mode is not set!\\nNV Power Mode: 15W\\n0\\n", [])
    {'id': 0, 'name': '15W'}
    """
    head = re.search(r"(?m)^NV Power Mode: *(\S.*?)\s*$", text)
    if head is None:
        return None
    name = head.group(1)
    number = re.search(r"(?m)^\s*(\d{1,4})\s*$", text[head.end() :])
    if number:
        return {"id": int(number.group(1)), "name": name}
    return next((mode for mode in modes if mode["name"] == name), None)


def _from_status(files: Files, modes: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not files.exists(STATUS):
        return None
    text = files.text(STATUS) or ""
    match = re.match(r"^pmode:(\d{1,4})\b", text)
    if match is None:
        files.unread.setdefault("/" + STATUS, f"no power mode: {text[:40]!r}")
        return None
    return next((mode for mode in modes if mode["id"] == int(match.group(1))), None)


def _sections(files: Files) -> list[tuple[int, str, str]]:
    """Id, name and text of each mode in nvpmodel.conf, comments left out."""
    if not files.exists(CONF):
        return []
    text = re.sub(r"(?m)#.*$", "", files.text(CONF) or "")
    heads = list(
        re.finditer(r"<\s*POWER_MODEL\s+ID\s*=\s*(\d{1,4})\s+NAME\s*=\s*([^\s>]+)\s*>", text)
    )
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return [
        (int(head.group(1)), head.group(2), text[head.end() : end])
        for head, end in zip(heads, ends)
    ]
