"""What onnxscript is asked once, however many networks are exported."""

from __future__ import annotations

from typing import Any

import pytest
from torch.onnx._internal.exporter import _registration

from edgestill.export.library_once import NAME, library_read_once
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

SPEC = WideResNet(blocks=(1, 1, 1), widths=(8, 8, 16), image_size=16)


def test_two_exports_read_the_library_of_operators_once_and_give_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    onnxscript_apis = vars(_registration)["onnxscript_apis"]
    read = getattr(onnxscript_apis, NAME)
    asked: list[int] = []

    def counted() -> list[Any]:
        asked.append(len(asked))
        library: list[Any] = read()
        return library

    monkeypatch.setattr(onnxscript_apis, NAME, counted)
    first, second = (onnx_from_model(build(SPEC, seed=0), (3, 16, 16)) for _ in range(2))

    assert asked == [0]
    assert first.SerializeToString() == second.SerializeToString()
    assert getattr(onnxscript_apis, NAME) is counted  # all is as it was


def test_a_torch_that_asks_in_another_way_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_registration, "onnxscript_apis")

    with library_read_once():
        pass

    assert not hasattr(_registration, "onnxscript_apis")
