"""Every fake board is named as what it is; what the files leave open or dispute is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.agent.board import board
from edgestill.deploy.agent.files import Files
from edgestill.deploy.agent.jetson import JETPACKS, MODULES, PARTS, jetson

from ..fake_boards import BOARDS

FakeBoards: TypeAlias = Callable[..., Path]
WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]
ORIN = {"proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0000\0nvidia,tegra234\0"}
GIB = 2**30


def facts(
    root: Path,
    packages: dict[str, str] | None = None,
    gib: float | None = None,
    tpc_mask: int | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    files = Files(root)
    memory_bytes = None if gib is None else round(gib * GIB)
    found = jetson(files, packages or {}, memory_bytes, tpc_mask)
    assert found is not None
    return found, files.unread


@pytest.mark.parametrize("name", BOARDS)
def test_a_probe_says_the_documented_truth_of_each_board(fake_board: FakeBoards, name: str) -> None:
    truth = BOARDS[name]

    found = board(fake_board(name))["jetson"]

    names = ("module", "part", "carrier", "super", "soc", "l4t", "jetpack", "sm_count")
    for fact in (*names, "compute_capability", "dla_cores"):
        assert found[fact] == getattr(truth, fact), fact
    assert found["notes"] == []


@pytest.mark.parametrize("name", BOARDS)
def test_model_and_memory_name_the_module_where_the_part_is_absent(
    fake_board: FakeBoards, name: str
) -> None:
    root = fake_board(name)
    compatible = root / "proc/device-tree/compatible"
    compatible.write_text(f"nvidia,{BOARDS[name].soc}\0")

    found = board(root)["jetson"]

    assert (found["module"], found["part"]) == (BOARDS[name].module, None)


@pytest.mark.parametrize(
    ("mask", "working"), [(None, 8), (0, 8), (240, 8), (248, 6), (252, 4), (255, 8)]
)
def test_gated_clusters_are_taken_off_the_count(
    write_files: WriteFiles, mask: int | None, working: int
) -> None:
    found, _ = facts(write_files(ORIN), tpc_mask=mask)

    assert found["sm_count"] == working  # a mask that leaves none is not believed


def test_a_desktop_is_no_jetson(write_files: WriteFiles) -> None:
    files = Files(write_files({"sys/class/dmi/id/product_name": "Desktop 5\n"}))

    assert jetson(files, {}, None, None) is None
    assert files.unread == {}


def test_part_and_memory_that_disagree_are_both_told(write_files: WriteFiles) -> None:
    root = write_files({**ORIN, "proc/device-tree/model": "NVIDIA Jetson Orin Nano Dev Kit\0"})

    found, _ = facts(root, gib=7.4)

    assert found["module"] == "Orin NX 16GB"
    assert "p3767-0000 is Orin NX 16GB" in found["notes"][0]
    assert "those of Orin Nano 8GB" in found["notes"][0]


def test_an_unknown_module_is_none_with_its_reason(write_files: WriteFiles) -> None:
    files = {"proc/device-tree/compatible": "nvidia,p9999-0000+p9998-0001\0nvidia,tegra234\0"}

    found, unread = facts(write_files(files), gib=7.4)

    assert (found["module"], found["sm_count"], found["dla_cores"]) == (None, None, None)
    assert found["compute_capability"] == "8.7"
    assert "p9998-0001 is not known" in unread["jetson.module"]
    assert "module" in unread["jetson.sm_count"]


@pytest.mark.parametrize(
    ("release", "l4t"),
    [
        ("# R32 (release), REVISION: 7.1, GCID: 29689809, BOARD: t186ref\n", "32.7.1"),
        ("# R36 (release), REVISION: 4.4, GCID: 41062509, BOARD: generic\n", "36.4.4"),
        ("# R38 (release), REVISION: 4.0, GCID: 1\n# KERNEL_VARIANT: oot\n", "38.4.0"),
        ("# R39 (release), REVISION: 2, GCID: 1\n", "39.2.0"),
    ],
)
def test_every_form_of_the_release_file_is_read(
    write_files: WriteFiles, release: str, l4t: str
) -> None:
    found, _ = facts(write_files({**ORIN, "etc/nv_tegra_release": release}))

    assert (found["l4t"], found["jetpack"]) == (l4t, JETPACKS[l4t])


def test_without_a_release_file_the_package_tells(write_files: WriteFiles) -> None:
    found, _ = facts(write_files(ORIN), {"nvidia-l4t-core": "36.4.4-20250616085344"})

    assert (found["l4t"], found["jetpack"]) == ("36.4.4", "6.2.1")


def test_without_either_the_release_is_none_with_its_reason(write_files: WriteFiles) -> None:
    found, unread = facts(write_files(ORIN))

    assert (found["l4t"], found["jetpack"]) == (None, None)
    assert "absent" in unread["/etc/nv_tegra_release"]


def test_a_release_of_no_known_jetpack_is_none_with_its_reason(write_files: WriteFiles) -> None:
    release = "# R40 (release), REVISION: 1.0, GCID: 1\n"

    found, unread = facts(write_files({**ORIN, "etc/nv_tegra_release": release}))

    assert (found["l4t"], found["jetpack"]) == ("40.1.0", None)
    assert "40.1.0" in unread["jetson.jetpack"]


def test_a_container_without_device_tree_is_still_a_jetson(write_files: WriteFiles) -> None:
    release = "# R36 (release), REVISION: 4.4, GCID: 1\n"

    found, unread = facts(write_files({"etc/nv_tegra_release": release}))

    assert (found["soc"], found["module"], found["jetpack"]) == (None, None, "6.2.1")
    assert unread["jetson.module"] == "the device tree names no known part"


def test_every_part_belongs_to_a_known_module() -> None:
    assert set(PARTS.values()) <= set(MODULES)
