"""What stands between this process and the machine: a container, a virtual machine."""

from __future__ import annotations

from .cpu import cpu_flags, cpuinfo
from .files import Files
from .jetson import is_jetson

CONTAINERS = ("docker", "kubepods", "containerd", "lxc")
# As firmware names itself; ARM processors do not tell.
HYPERVISORS = (
    "QEMU",
    "KVM",
    "VMware",
    "VirtualBox",
    "Xen",
    "Hyper-V",
    "Parallels",
    "Virtual Machine",
    "linux,dummy-virt",
)
FIRMWARE = (
    "sys/class/dmi/id/sys_vendor",
    "sys/class/dmi/id/product_name",
    "proc/device-tree/compatible",
)
DEVICE_TREE_HYPERVISOR = "proc/device-tree/hypervisor"


def container(files: Files) -> str | None:
    """The kind of container that this is; None: none, or none that shows."""
    if files.exists("run/.containerenv"):
        return "podman"
    if files.exists(".dockerenv"):
        return "docker"
    groups = files.text("proc/1/cgroup") or ""
    return next((kind for kind in CONTAINERS if kind in groups), None)


def virtual_machine(files: Files) -> bool | None:
    """Whether the machine is virtual; None where nothing tells."""
    info = cpuinfo(files)
    if "flags" in info:  # x86 has a flag for it
        return "hypervisor" in (cpu_flags(info) or set())
    if is_jetson(files):
        return False
    told = [files.text(name) or "" for name in FIRMWARE if files.exists(name)]
    if files.exists(DEVICE_TREE_HYPERVISOR):
        return True
    if any(word in text for text in told for word in HYPERVISORS):
        return True
    files.unread["virtual_machine"] = "this processor has no flag for it, the firmware names none"
    return None
