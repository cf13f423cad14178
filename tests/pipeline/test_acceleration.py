"""CUDA's accelerations: on where they help, off elsewhere, and never in the way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgestill.models.errors import BadInput
from edgestill.pipeline.acceleration import accelerated, mixed_precision, or_uncompiled
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


@pytest.mark.parametrize("asked", [{"precision": "bfloat16"}, {"compile": True}], ids=str)
def test_the_cpu_computes_in_float32_uncompiled_and_says_so(asked: dict[str, Any]) -> None:
    model, settings = nn.Linear(2, 2), Training(epochs=1, **asked)
    heard: list[Any] = []

    sink = listening(lambda kind, fields: heard.append((kind, fields)))
    with sink, accelerated(model, settings, CPU, "teacher"):
        compiled = model._compiled_call_impl

    assert (compiled, mixed_precision(settings, CPU)) == (None, False)
    assert [kind for kind, _ in heard] == ["note"]
    assert "CUDA only" in heard[0][1]["text"]


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
