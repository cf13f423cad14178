"""Which Jetson this is: module, board, SoC, L4T and JetPack; None where it is none.

The part number in the device tree names the module; where it is absent, the model's text and the
size of the memory do. Where both are there and disagree, the part counts and a note says so.

Sources: NVIDIA's device trees and Linux for Tegra release notes; JetPack's archive pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .files import Files

# SoC -> CUDA compute capability of its GPU
COMPUTE = {
    "tegra210": "5.3",
    "tegra186": "6.2",
    "tegra194": "7.2",
    "tegra234": "8.7",
    "tegra264": "11.0",
}


@dataclass(frozen=True)
class Known:
    """What a module has when nothing of it is switched off."""

    sm_count: int
    dla_cores: int


MODULES = {
    "Nano": Known(1, 0),
    "Nano 2GB": Known(1, 0),
    "TX2": Known(2, 0),
    "TX2 NX": Known(2, 0),
    "Xavier NX": Known(6, 2),
    "AGX Xavier": Known(8, 2),
    "Orin Nano 4GB": Known(4, 0),
    "Orin Nano 8GB": Known(8, 0),
    "Orin NX 8GB": Known(8, 1),
    "Orin NX 16GB": Known(8, 2),
    "AGX Orin 32GB": Known(14, 2),
    "AGX Orin 64GB": Known(16, 2),
    "Thor T4000": Known(12, 0),
    "AGX Thor T5000": Known(20, 0),
}
# Part number, or the number that all its variants share -> module
PARTS = {
    "p3448": "Nano",
    "p3310": "TX2",
    "p3489": "TX2",
    "p3636": "TX2 NX",
    "p2888": "AGX Xavier",
    "p3668": "Xavier NX",
    "p3701-0000": "AGX Orin 64GB",  # the developer kit: all 16 SMs, some with 32 GB
    "p3701-0004": "AGX Orin 32GB",
    "p3701-0005": "AGX Orin 64GB",
    "p3767-0000": "Orin NX 16GB",
    "p3767-0001": "Orin NX 8GB",
    "p3767-0003": "Orin Nano 8GB",
    "p3767-0004": "Orin Nano 4GB",
    "p3767-0005": "Orin Nano 8GB",  # of the developer kit
    "p3834-0008": "AGX Thor T5000",
}
# SoC, words in the model's text -> modules by the GiB of memory that they have at least
FAMILIES = (
    ("tegra234", "AGX Orin", ((56, "AGX Orin 64GB"), (28, "AGX Orin 32GB"))),
    ("tegra234", "Orin NX", ((14, "Orin NX 16GB"), (7, "Orin NX 8GB"))),
    ("tegra234", "Orin Nano", ((7, "Orin Nano 8GB"), (3, "Orin Nano 4GB"))),
    ("tegra264", "", ((96, "AGX Thor T5000"), (0, "Thor T4000"))),
    ("tegra194", "NX", ((0, "Xavier NX"),)),
    ("tegra194", "", ((0, "AGX Xavier"),)),
    ("tegra186", "NX", ((0, "TX2 NX"),)),
    ("tegra186", "", ((0, "TX2"),)),
    ("tegra210", "Nano", ((3, "Nano"), (0, "Nano 2GB"))),
)
JETPACKS = {
    "39.2.0": "7.2",
    "38.4.0": "7.1",
    "38.2.0": "7.0",
    "38.2.1": "7.0",
    "38.2.2": "7.0",
    "36.5.0": "6.2.2",
    "36.4.7": "6.2.1",
    "36.4.4": "6.2.1",
    "36.4.3": "6.2",
    "36.4.2": "6.1r1",
    "36.4.0": "6.1",
    "36.3.0": "6.0",
    "35.6.4": "5.1.6",
    "35.6.3": "5.1.5",
    "35.6.2": "5.1.5",
    "35.6.1": "5.1.5",
    "35.6.0": "5.1.4",
    "35.5.0": "5.1.3",
    "35.4.1": "5.1.2",
    "35.3.1": "5.1.1",
    "35.2.1": "5.1",
    "35.1.0": "5.0.2",
    "32.7.6": "4.6.6",
    "32.7.5": "4.6.5",
    "32.7.4": "4.6.4",
    "32.7.3": "4.6.3",
    "32.7.2": "4.6.2",
    "32.7.1": "4.6.1",
    "32.6.1": "4.6",
}
DEVICE_TREE = "proc/device-tree"
RELEASE = "etc/nv_tegra_release"
BOARD_ENTRY = re.compile(
    r"^nvidia,(?:(p\d{4}-\d{4})(?:-[a-z]\d\d)?\+)?(p\d{4}-\d{4})(?:-[a-z]\d\d)?(-super)?(?:-.*)?$"
)


def is_jetson(files: Files) -> bool:
    """Whether this is a Tegra board: by its device tree, or by NVIDIA's release file."""
    return soc_of(_compatible(files)) is not None or files.exists(RELEASE)


def jetson(
    files: Files, packages: dict[str, str], memory_bytes: int | None, tpc_mask: int | None
) -> dict[str, Any] | None:
    """The facts of the Jetson; None on other machines.

    packages: as `software.packages` gives; tpc_mask: of the current power mode.
    """
    if not is_jetson(files):
        return None
    entries = _compatible(files)
    soc = soc_of(entries)
    carrier, part, is_super = _numbers(entries)
    model = files.text(DEVICE_TREE + "/model") or ""
    notes: list[str] = []
    module = _module(files, part, _by_memory(soc, model, memory_bytes), notes)
    l4t = _l4t(files, packages)
    sm_count, sm_source = _sm_count(files, module, soc, tpc_mask)
    return {
        "module": module,
        "part": part,
        "carrier": carrier,
        "super": is_super or "Super" in model.split(),
        "soc": soc,
        "l4t": l4t,
        "jetpack": _jetpack(files, l4t),
        "sm_count": sm_count,
        "sm_source": sm_source,
        "compute_capability": COMPUTE.get(soc or ""),
        "dla_cores": MODULES[module].dla_cores if module else None,
        "notes": notes,
    }


def soc_of(compatible: list[str]) -> str | None:
    """The SoC among the entries of the device tree.

    >>> soc_of(["nvidia,p3768-0000+p3767-0005-super", "nvidia,tegra234"])
    'tegra234'
    """
    found = (re.match(r"^nvidia,(tegra\d+)$", entry) for entry in compatible)
    return next((match.group(1) for match in found if match), None)


def module_of(part: str) -> str | None:
    """The module's name by its part number, `-super` and a board revision already cut off.

    >>> module_of("p3767-0003"), module_of("p3668-0001"), module_of("p3737-0000")
    ('Orin Nano 8GB', 'Xavier NX', None)
    """
    return PARTS.get(part) or PARTS.get(part.partition("-")[0])


def _compatible(files: Files) -> list[str]:
    name = DEVICE_TREE + "/compatible"
    return (files.text(name) or "").split() if files.exists(name) else []


def _numbers(entries: list[str]) -> tuple[str | None, str | None, bool]:
    """Part numbers of carrier and module, and whether it is set up as Super."""
    carrier = part = None
    is_super = False
    for match in filter(None, map(BOARD_ENTRY.match, entries)):
        board, number, suffix = match.groups()
        carrier = carrier or board
        if module_of(number) or board:
            part = part or number
        else:
            carrier = carrier or number
        is_super = is_super or suffix is not None
    return carrier, part, is_super


def _by_memory(soc: str | None, model: str, memory_bytes: int | None) -> str | None:
    gib = 0 if memory_bytes is None else memory_bytes / 2**30
    for family_soc, words, sizes in FAMILIES:
        if soc == family_soc and words in model:
            if memory_bytes is None and len(sizes) > 1:
                return None
            return next((name for least, name in sizes if gib >= least), None)
    return None


def _module(files: Files, part: str | None, by_memory: str | None, notes: list[str]) -> str | None:
    by_part = None if part is None else module_of(part)
    if by_part and by_memory and by_part != by_memory:
        notes.append(
            f"part {part} is {by_part}, the model's name and the memory are those of {by_memory}"
        )
    if by_part is None and by_memory is None:
        files.unread["jetson.module"] = (
            "the device tree names no known part"
            if part is None
            else f"part {part} is not known, nor are its name and memory"
        )
    return by_part or by_memory


def _l4t(files: Files, packages: dict[str, str]) -> str | None:
    if files.exists(RELEASE):
        text = files.text(RELEASE) or ""
        match = re.match(r"^# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", text)
        if match:
            return _three(f"{match.group(1)}.{match.group(2)}")
        files.unread["/" + RELEASE] = f"no release: {text[:40]!r}"
    version = re.match(r"^(\d+\.\d+(?:\.\d+)?)", packages.get("nvidia-l4t-core", ""))
    if version:
        return _three(version.group(1))
    files.unread.setdefault("/" + RELEASE, "absent, and so is the package nvidia-l4t-core")
    return None


def _three(version: str) -> str:
    return version if version.count(".") >= 2 else version + ".0"


def _jetpack(files: Files, l4t: str | None) -> str | None:
    if l4t is None:
        files.unread["jetson.jetpack"] = "it follows from L4T, which cannot be read"
    elif l4t not in JETPACKS:
        files.unread["jetson.jetpack"] = f"none is known for L4T {l4t}"
    return JETPACKS.get(l4t or "")


def _sm_count(
    files: Files, module: str | None, soc: str | None, tpc_mask: int | None
) -> tuple[int | None, str | None]:
    """The streaming multiprocessors that work in this power mode, and how that is known."""
    if module is None:
        files.unread["jetson.sm_count"] = "it follows from the module, which is not known"
        return None, None
    all_of_them = MODULES[module].sm_count
    if soc == "tegra234" and tpc_mask is not None:
        # A bit that is set gates one of eight TPCs, of two SMs each.
        working = 2 * (8 - bin(tpc_mask & 0xFF).count("1"))
        if 0 < working < all_of_them:
            return working, f"known module, TPC mask {tpc_mask} of its power mode"
    return all_of_them, "known module"
