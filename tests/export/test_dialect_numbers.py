"""Every dialect, run in ONNX Runtime as users run it, against the fake-quantized network.

The network has learned scikit-learn's digits; the images are those it has not seen.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, numpy_helper
from sklearn.datasets import load_digits
from torch import Tensor, fx, nn

from edgestill.export.dialects import write_dialect
from edgestill.export.graph import constants, copied
from edgestill.export.runtime import infer, open_session
from edgestill.export.targets import TARGETS
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.fake_quant import calibrate, prepare, set_grid
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ranges_of
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

from .rounding_bounds import Bounded, RoundingBounds

SHAPE = (3, 16, 16)
TRAINED_ON, EPOCHS = 1000, 6


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """1,797 images (N, 3, 16, 16) and their classes."""
    found = load_digits()
    grey = torch.tensor(found.images, dtype=torch.float32)[:, None] / 8 - 1
    large = nn.functional.interpolate(grey, scale_factor=2, mode="bilinear")
    return large.expand(-1, 3, -1, -1).contiguous(), torch.tensor(found.target)


@pytest.fixture(scope="module")
def trained(digits: tuple[Tensor, Tensor]) -> fx.GraphModule:
    """A WRN-10 that reads digits, calibrated."""
    images, labels = digits
    student = build(WideResNet(blocks=(1, 1, 1), widths=(8, 16, 32), image_size=16), seed=0).train()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9)
    order = torch.Generator().manual_seed(0)
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.02, total_iters=EPOCHS - 1)
    for _ in range(EPOCHS):
        for rows in torch.randperm(TRAINED_ON, generator=order).reshape(-1, 50):
            loss = nn.functional.cross_entropy(student(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's annotation is missing
            optimizer.step()
        slower.step()
    prepared = prepare(fold_batch_norm(student))
    calibrate(prepared, [images[:200]])
    return prepared


def on_grid(model: fx.GraphModule, target: Any) -> fx.GraphModule:
    moved = copy.deepcopy(model)
    set_grid(moved, target)
    return moved


@pytest.fixture(scope="module")
def dialects(trained: fx.GraphModule) -> dict[str, ModelProto]:
    marked, ranges = onnx_from_model(trained, SHAPE), ranges_of(trained)
    return {target: write_dialect(marked, ranges, target) for target in TARGETS}


@pytest.mark.parametrize("target", TARGETS)
def test_of_all_unseen_images_995_in_1000_get_the_same_class(
    trained: fx.GraphModule,
    dialects: dict[str, ModelProto],
    digits: tuple[Tensor, Tensor],
    target: str,
) -> None:
    images, labels = digits[0][TRAINED_ON:], digits[1][TRAINED_ON:]
    with torch.no_grad():
        expected = on_grid(trained, target)(images).numpy().argmax(1)

    session = open_session(dialects[target].SerializeToString())
    found = infer(session, images.numpy()).argmax(1)

    assert (expected == labels.numpy()).mean() > 0.9  # it has learned something
    assert (found == expected).mean() >= 0.995


@pytest.mark.parametrize("target", TARGETS)
def test_every_code_and_logit_is_within_the_derived_bound(
    trained: fx.GraphModule,
    dialects: dict[str, ModelProto],
    digits: tuple[Tensor, Tensor],
    target: str,
) -> None:
    """See rounding_bounds: from the same input codes, layer by layer, with optimizations on."""
    images = digits[0][TRAINED_ON : TRAINED_ON + 64]
    codes, logits = run_with_codes(copied(dialects[target]), images)
    layers = RoundingBounds(on_grid(trained, target), codes)

    with torch.no_grad():
        found: Bounded = layers.run(images)

    assert len(layers.seen) == len(codes) > 8
    for point, seen in layers.seen.items():
        for side in (seen.runtime_codes, seen.torch_codes):
            beyond = (side - seen.quotient).abs() - (0.5 + seen.epsilon)
            assert beyond.max() <= 0, (point, float(beyond.max()))
        # The bound is worth something: a code falls the other way near a tie alone.
        assert seen.epsilon.max() < 0.25, point
        assert (seen.runtime_codes - seen.torch_codes).abs().max() <= 1, point
    assert ((torch.tensor(logits).double() - found.exact).abs() <= found.error).all()
    assert ((found.single.double() - found.exact).abs() <= found.error).all()
    # And it is small beside the logits themselves.
    assert found.error.max() < 0.01 * found.exact.abs().max()


def run_with_codes(
    model: ModelProto, images: Tensor
) -> tuple[dict[str, Tensor], np.ndarray[Any, Any]]:
    """The codes of every point, less the zero point, and the logits, as ONNX Runtime gives them."""
    graph, known, names = model.graph, constants(model.graph), dict[str, str]()
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            names.setdefault(node.input[1].removesuffix(".scale"), node.output[0])
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in names.values())
    session = open_session(model.SerializeToString())
    logits, *found = session.run(["logits", *names.values()], {"images": images.numpy()})
    zeros = {point: int(numpy_helper.to_array(known[f"{point}.zero_point"])) for point in names}
    return {
        point: torch.tensor(codes.astype(np.int64) - zeros[point]).double()
        for point, codes in zip(names, found, strict=True)
    }, logits
