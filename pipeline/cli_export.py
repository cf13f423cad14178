"""The options of `edgestill export`; export_command.py does what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WORKDIR = Path("edgestill-work")


def export(
    source: Annotated[
        str,
        typer.Argument(
            help="A run's name or folder, a family's checkpoint,"
            " torchvision:NAME, timm:NAME or module:function."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the ONNX files.")],
    weights: Annotated[Path | None, typer.Option(help="A .safetensors or state_dict file.")] = None,
    input_shape: Annotated[
        str | None, typer.Option(metavar="CxHxW", help="One image; default 3x224x224.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=2, help="Classes; default: as in the weights, else 1000.")
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32 | fp16 | int8")] = "int8",
    target: Annotated[
        list[str] | None, typer.Option(help="tensorrt | ort-x86 | ort-arm64; repeat for several.")
    ] = None,
    float_type: Annotated[
        str | None,
        typer.Option(help="float32 | float16: what stays float beside INT8, for tensorrt."),
    ] = None,
    calibrate: Annotated[
        str | None, typer.Option(metavar="DATA", help="Images for INT8 ranges, as data.source.")
    ] = None,
    calibration: Annotated[str, typer.Option(help="mse | percentile | minmax")] = "mse",
    keep_float: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER", help="A layer that INT8 leaves in float, or: auto. Repeatable."
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Compare on held-out images of this, as data.source; default: of --calibrate,"
            " else noise.",
        ),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME-VERSION",
            help="Oldest release that has to read the file, as tensorrt-10.3, onnxruntime-1.21,"
            " jetpack-6.2. Repeatable.",
        ),
    ] = None,
    opset: Annotated[
        int | None, typer.Option(min=7, help="Default: the lowest that can be written.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images per call; default: any number.")
    ] = None,
    external_data: Annotated[
        bool, typer.Option("--external-data", help="Weights in a file beside it, MODEL.onnx.data.")
    ] = False,
    pixels: Annotated[
        str | None,
        typer.Option("--input", help="float32: normalised images; uint8: raw pixels."),
    ] = None,
    layout: Annotated[str | None, typer.Option(help="Of raw pixels: hwc | chw.")] = None,
    mean: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", help="What training subtracted, in 0 .. 1, or: imagenet."),
    ] = None,
    std: Annotated[
        str | None, typer.Option(metavar="R,G,B", help="What training divided by, in 0 .. 1.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="logits | softmax | topK, as top5: scores and classes.")
    ] = None,
    build_engine: Annotated[
        bool, typer.Option("--build-engine", help="Build TensorRT's engine here, on its GPU.")
    ] = False,
    engine_batch: Annotated[
        str | None,
        typer.Option(metavar="MIN,BEST,MAX", help="Batches of TensorRT's engine; default: 1."),
    ] = None,
    dla_core: Annotated[
        int | None, typer.Option(min=0, help="Build for this DLA; default: the GPU.")
    ] = None,
    workdir: Annotated[Path, typer.Option(help="Where artifacts and runs are kept.")] = WORKDIR,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")
    ] = False,
) -> None:
    """Write a network as ONNX, in the form that each runtime runs fast.

    Example: edgestill export torchvision:resnet18 --weights r18.safetensors --out onnx
    --precision int8 --calibrate imagefolder:photos --input uint8 --mean imagenet --head top5
    """
    from .export_command import export_command
    from .export_options import ExportOptions

    options = ExportOptions(
        weights=weights,
        input_shape=input_shape,
        targets=tuple(target or ()),
        precision=precision,
        float_type=float_type,
        calibrate=calibrate,
        calibration=calibration,
        keep_float=tuple(keep_float or ()),
        images=images,
        classes=classes,
        runtimes=tuple(runtime or ()),
        opset=opset,
        batch=batch,
        external_data=external_data,
        input=pixels,
        layout=layout,
        mean=mean,
        std=std,
        head=head,
        build_engine=build_engine,
        engine_batch=engine_batch,
        dla_core=dla_core,
        workdir=workdir,
    )
    export_command(source, out, options, as_json=as_json)
