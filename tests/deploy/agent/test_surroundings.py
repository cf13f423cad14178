"""Containers and virtual machines, on x86 by its flag and on ARM by what its firmware says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent.files import Files
from edgestill.deploy.agent.surroundings import container, virtual_machine

WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]
FakeBoards: TypeAlias = Callable[..., Path]
ARM = {"proc/cpuinfo": "Features : fp asimd\nCPU part : 0xd0c\n"}


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"run/.containerenv": ""}, "podman"),
        ({".dockerenv": ""}, "docker"),
        ({"proc/1/cgroup": "0::/kubepods/pod1\n"}, "kubepods"),
        ({"proc/1/cgroup": "0::/init.scope\n"}, None),
    ],
)
def test_a_container_is_named(
    write_files: WriteFiles, files: dict[str, str], kind: str | None
) -> None:
    assert container(Files(write_files(files))) == kind


@pytest.mark.parametrize(
    ("files", "virtual"),
    [
        ({"proc/cpuinfo": "flags : fpu hypervisor\n"}, True),
        ({"proc/cpuinfo": "flags : fpu\n", "sys/class/dmi/id/sys_vendor": "QEMU\n"}, False),
        ({**ARM, "sys/class/dmi/id/sys_vendor": "QEMU\n"}, True),
        ({**ARM, "proc/device-tree/compatible": "linux,dummy-virt\0"}, True),
        ({**ARM, "proc/device-tree/hypervisor/compatible": "linux,kvm\0"}, True),
        ({**ARM, "sys/class/dmi/id/product_name": "Server R1\n"}, None),
    ],
)
def test_a_virtual_machine_is_recognised(
    write_files: WriteFiles, files: dict[str, str], virtual: bool | None
) -> None:
    tree = Files(write_files(files))

    assert virtual_machine(tree) is virtual
    assert ("virtual_machine" in tree.unread) == (virtual is None)


def test_a_jetson_is_none(fake_board: FakeBoards) -> None:
    assert virtual_machine(Files(fake_board("agx-orin"))) is False
