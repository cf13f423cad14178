"""What makes a device fast: bfloat16 where it is native, and on CUDA torch.compile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeVar

from ..models.errors import BadInput
from .events import emit
from .recipe import Training

if TYPE_CHECKING:
    import torch
    from torch import nn

T = TypeVar("T")
Precision = Literal["float32", "bfloat16"]


@contextmanager
def accelerated(
    model: nn.Module, settings: Training, device: torch.device, label: str, *, alone: bool = True
) -> Iterator[None]:
    """Within the block, on CUDA, `model` is compiled and convolutions use the fastest algorithm.

    It is compiled where one process trains `alone`: the exchanges of several break its graph.
    Elsewhere nothing changes; whoever asked for compile, or for bfloat16 where it is emulated, is
    told so in a note.
    """
    import torch

    if settings.precision == "bfloat16" and not native_bfloat16(device):
        emit(
            "note",
            text=f"{label}: {device} emulates bfloat16 here, which may be slow; precision = 'auto'"
            " takes float32",
        )
    if device.type != "cuda":
        if settings.compile is True:
            emit("note", text=f"{label}: compile is used on CUDA only, not on {device}")
        yield
        return
    benchmark, compiled = torch.backends.cudnn.benchmark, model._compiled_call_impl
    # All batches but the last have one shape, so the algorithms are timed once.
    torch.backends.cudnn.benchmark = True
    if settings.compile and alone:
        model.compile()
    elif settings.compile is True:
        emit("note", text=f"{label}: compile is used by one process alone, not by several")
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = benchmark
        model._compiled_call_impl = compiled


def precision(settings: Training, device: torch.device) -> Precision:
    """What forward passes are computed in: "auto" takes bfloat16 where the device has it."""
    if settings.precision == "auto":
        return "bfloat16" if native_bfloat16(device) else "float32"
    return settings.precision


def native_bfloat16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 faster than float32.

    On x86-64 those with AVX512-BF16 or AMX do. Arm's bf16 instructions do not count: whether
    training gains by them has not been measured.
    """
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Older versions of torch do not tell, and the instructions are oneDNN's to use.
    if not (hasattr(torch.cpu, "get_capabilities") and torch.backends.mkldnn.is_available()):  # type: ignore[no-untyped-call]
        return False
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def or_uncompiled(model: nn.Module, settings: Training, label: str, work: Callable[[], T]) -> T:
    """What `work()` gives; once more without torch.compile where that cannot compile `model`.

    Without a C compiler, or with a network that it cannot follow, "auto" goes on as it can, with a
    note. Raises BadInput where compile = true was asked for.
    """
    import torch

    if model._compiled_call_impl is None:
        return work()
    try:
        return work()
    except torch._dynamo.exc.TorchDynamoException as error:
        reason = str(error).strip().partition("\n")[0]
        if settings.compile is True:
            raise BadInput(
                f"{label}: the network does not compile ({reason}); set compile = false"
            ) from error
        emit("note", text=f"{label}: goes on without torch.compile ({reason})")
        model._compiled_call_impl = None
        return work()
