"""One float network as ONNX files: FP32, edgestill's INT8, and what others make of it.

All are calibrated on the same images. A maker that does not manage returns its reason.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

FP32, OURS, STATIC, PT2E = "fp32", "edgestill", "quantize_static", "torchao PT2E"
SIZES = {"wrn28-0.5": 32, "digits student": 32}


def network(name: str) -> nn.Module:
    """The untrained network, its BatchNorms warmed so that activations have the usual sizes."""
    import torch
    import torchvision

    from edgestill.models.student import build
    from edgestill.models.wideresnet import WideResNet

    ours = {
        "wrn28-0.5": WideResNet.scaled(depth=28, width=0.5),
        "digits student": WideResNet(blocks=(1, 1, 1), widths=(8, 8, 16), image_size=32),
    }
    torch.manual_seed(0)
    if name in ours:
        made = build(ours[name], seed=0)
    elif name.startswith("timm:"):
        import timm

        made = timm.create_model(name.removeprefix("timm:"), pretrained=False)
    else:
        made = getattr(torchvision.models, name)(weights=None)
    with torch.no_grad():
        for _ in range(3):
            made.train()(torch.randn(8, 3, 64, 64))
    return made.eval()


def calibration_images(size: int) -> Tensor:
    """Images (32, 3, size, size): smooth noise, seeded."""
    import torch

    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn((32, 3, size // 4, size // 4), generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")


def write_files(model: nn.Module, size: int, folder: Path) -> dict[str, Path | str]:
    """FP32 and every INT8 form of `model` in `folder`: a path each, or why there is none."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # what exporters and quantizers tell of their passes
    images = calibration_images(size)
    whole = folder / "fp32.onnx"
    makers: dict[str, Callable[[Path], None]] = {
        FP32: partial(_float, model, size),
        OURS: partial(_edgestill, model, images),
        STATIC: partial(_quantize_static, whole, images),
        PT2E: partial(_pt2e, model, images),
    }
    made: dict[str, Path | str] = {}
    for name, make in makers.items():
        path = folder / f"{name.replace(' ', '_')}.onnx"
        try:
            make(path)
            made[name] = path
        except Exception as error:  # a rival's failure is a result, and ours ends the run below
            if name in (FP32, OURS):
                raise
            made[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return made


def _float(model: nn.Module, size: int, path: Path) -> None:
    import onnx

    from edgestill.export.to_onnx import onnx_from_model

    onnx.save(onnx_from_model(model, (3, size, size)), path)


def _edgestill(model: nn.Module, images: Tensor, path: Path) -> None:
    import onnx

    from edgestill.export.dialects import write_dialect
    from edgestill.export.to_onnx import onnx_from_model
    from edgestill.models.fake_quant import calibrate, prepare
    from edgestill.models.fold import fold_batch_norm
    from edgestill.models.ranges import ranges_of

    prepared = prepare(fold_batch_norm(model))
    calibrate(prepared, [images])
    marked = onnx_from_model(prepared, tuple(images.shape[1:]))
    onnx.save(write_dialect(marked, ranges_of(prepared), "ort-x86"), path)


def _quantize_static(whole: Path, images: Tensor, path: Path) -> None:
    """As its documentation advises for x86-64: pre-processed, uint8 activations, per channel."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(whole), str(prepared))
    calibration = iter([{"images": images.numpy()}])
    quantize_static(
        str(prepared),
        str(path),
        SimpleNamespace(get_next=lambda: next(calibration, None)),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


def _pt2e(model: nn.Module, images: Tensor, path: Path) -> None:
    """By the first of torchao's quantizers whose network torch.onnx exports."""
    import torch

    try:
        import torchao  # noqa: F401
    except ImportError:
        raise ImportError("torchao is not installed; see the top of benchmarks/int8.py") from None
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86
    from torchao.testing.pt2e._xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )

    def exported(quantizer: Any, settings: Any) -> Any:
        quantizer.set_global(settings)
        batch = torch.export.Dim("N", min=1, max=1024)
        traced = torch.export.export(model, (images,), dynamic_shapes=({0: batch},)).module()
        prepared = prepare_pt2e(traced, quantizer)
        prepared(images)
        return torch.onnx.export(
            convert_pt2e(prepared),
            (images,),
            dynamo=True,
            verbose=False,
            opset_version=18,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: batch},),
        )

    try:
        program = exported(
            x86.X86InductorQuantizer(), x86.get_default_x86_inductor_quantization_config()
        )
    except ValueError:  # "Input partition has more than one output node" on residual networks
        program = exported(
            XNNPACKQuantizer(), get_symmetric_quantization_config(is_per_channel=True)
        )
    program.save(path)
