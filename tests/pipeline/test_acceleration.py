"""The accelerations: on where they help, off elsewhere, and never in the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgestill.models.errors import BadInput
from edgestill.pipeline.acceleration import accelerated, or_uncompiled, precision
from edgestill.pipeline.events import listening
from edgestill.pipeline.recipe import Training

CPU = torch.device("cpu")


class WillNotCompile(nn.Linear):
    """As a network on a machine without a C compiler: every compiled call fails."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self._compiled_call_impl = self.fail

    def fail(self, images: Tensor) -> Tensor:
        raise torch._dynamo.exc.TorchDynamoException("no C compiler\nand many lines more")


def notes_of(settings: Training) -> list[str]:
    """What is said when training on the CPU begins."""
    heard: list[str] = []
    sink = listening(lambda kind, fields: heard.append(str(fields["text"])))
    with sink, accelerated(nn.Linear(2, 2), settings, CPU, "teacher"):
        pass
    return heard


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets torch report a processor with these instructions alone."""

    def pretend(**instructions: bool) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)

    return pretend


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ({"avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "float32"),
        ({"avx2": True}, "float32"),
        ({"neon": True, "bf16": True}, "float32"),
    ],
    ids=["avx512-bf16", "amx", "avx512", "avx2", "arm"],
)
def test_auto_is_bfloat16_where_the_processor_has_it(
    processor: Callable[..., None], instructions: dict[str, bool], expected: str
) -> None:
    processor(**instructions)

    assert precision(Training(), CPU) == expected
    assert precision(Training(precision="float32"), CPU) == "float32"
    assert precision(Training(precision="bfloat16"), CPU) == "bfloat16"
    assert notes_of(Training()) == []


def test_a_torch_that_does_not_tell_what_the_processor_has_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)

    assert precision(Training(), CPU) == "float32"


def test_what_is_asked_for_and_slow_here_is_said(processor: Callable[..., None]) -> None:
    processor(avx2=True)

    (emulated,) = notes_of(Training(precision="bfloat16"))
    (uncompiled,) = notes_of(Training(compile=True))

    assert "teacher: cpu emulates bfloat16 here" in emulated
    assert "teacher: compile is used on CUDA only" in uncompiled


def test_a_network_that_does_not_compile_is_trained_uncompiled() -> None:
    model, images, heard = WillNotCompile(), torch.ones(3, 2), []

    with listening(lambda kind, fields: heard.append(fields["text"])):
        logits = or_uncompiled(model, Training(epochs=1), "teacher", lambda: model(images))

    assert torch.equal(logits, nn.functional.linear(images, model.weight, model.bias))
    assert heard == ["teacher: goes on without torch.compile (no C compiler)"]


def test_a_network_that_was_to_be_compiled_and_cannot_be_is_refused() -> None:
    model = WillNotCompile()

    with pytest.raises(BadInput, match=r"does not compile \(no C compiler\); set compile = false"):
        or_uncompiled(model, Training(epochs=1, compile=True), "x", lambda: model(torch.ones(3, 2)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_is_left_as_it_was() -> None:
    model, device = nn.Linear(2, 2).cuda(), torch.device("cuda")

    with accelerated(model, Training(epochs=1), device, "teacher"):
        inside = (model._compiled_call_impl is not None, torch.backends.cudnn.benchmark)

    assert inside == (True, True)
    assert model._compiled_call_impl is None
    assert torch.backends.cudnn.benchmark is False
