"""Which networks of torchvision and timm are traced, folded and quantized, and what stays float.

    python benchmarks/zoo.py [NAME ...] [--export] [--json FILE]

Random weights, images of 64x64 pixels (224x224 where a network takes no others). "error" is the
largest difference of the folded network's logits from the original's, relative to the largest
logit. With --export each network is also calibrated on four random images and written for ONNX
Runtime on x86-64, and "int8" is what its optimizer makes of it: layers in integer kernels / all.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

TORCHVISION = """
    resnet18 resnet50 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large efficientnet_b0
    efficientnet_v2_s regnet_x_400mf regnet_y_400mf mnasnet0_5 mnasnet1_0 shufflenet_v2_x0_5
    squeezenet1_0 densenet121 googlenet inception_v3 vgg11_bn convnext_tiny swin_t
"""
TIMM = """
    resnet18 resnet50d seresnet18 resnetv2_50 res2net50_26w_4s skresnet18 resnest14d
    efficientnet_lite0 efficientnet_b0 tf_efficientnet_lite0 tf_efficientnet_b0
    tf_efficientnetv2_b0 mobilenetv2_035 mobilenetv3_small_050 mobilenetv3_large_100
    tf_mobilenetv3_small_minimal_100 mobilenetv4_conv_small regnetx_002 regnety_002
    mnasnet_small semnasnet_075 spnasnet_100 fbnetc_100 hardcorenas_a tinynet_e lcnet_035
    ghostnet_050 rexnet_100 mixnet_s repvgg_a0 mobileone_s0 gernet_s vgg11_bn vovnet39a
    ese_vovnet19b_dw selecsls42 dla34 hrnet_w18_small cspresnet50 cspdarknet53 darknet53
    densenet121 dpn48b xception41 inception_v4 convnext_atto convmixer_768_32 nf_resnet26
    mobilevit_xxs efficientvit_b0 levit_128s
"""
ZOO = [f"torchvision:{n}" for n in TORCHVISION.split()] + [f"timm:{n}" for n in TIMM.split()]
SIZES = (64, 224)


def main() -> int:
    """Print a line per network; write the records if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", default=ZOO, metavar="NAME")
    parser.add_argument("--export", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    records = {}
    print(f"{'network':45} {'quantized':>9} {'float':>5} {'untraced':>8} {'error':>8} {'int8':>8}")
    for name in options.names:
        found = records[name] = record(name, export=options.export)
        error, int8 = f"{found['error']:.1e}", found["int8"] or ""
        print(
            f"{name:45} {found['quantized']:9} {sum(found['float'].values()):5} "
            f"{len(found['untraced']):8} {error:>8} {int8:>8}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(records, indent=1, sort_keys=True) + "\n")
    return 0


def record(name: str, *, export: bool) -> dict[str, Any]:
    """What the table shows of one network; "float" counts by type and reason."""
    import torch

    from edgestill.models.fake_quant import prepare, report
    from edgestill.models.fold import fold_batch_norm

    model = build(name)
    images, expected = forward(model)
    folded = fold_batch_norm(model)
    with torch.no_grad():
        error = float((folded(images) - expected).abs().max() / expected.abs().max())
    prepared = prepare(folded)
    found = report(prepared)
    kinds = Counter(kind_of(line) for line in found["float"])
    return {
        "quantized": found["quantized"],
        "float": dict(kinds),
        "untraced": found["untraced"],
        "error": error,
        "int8": in_integers(prepared, images) if export else None,
    }


def kind_of(line: str) -> str:
    """The type and the reason of a line of the report, without its paths."""
    kind, _, reason = line.partition(" (")[2].partition("): ")
    words = ("which is no", "is read elsewhere", "cannot be traced")
    return f"{kind}: " + next(
        (reason[reason.index(word) :] for word in words if word in reason), reason
    )


def build(name: str) -> nn.Module:
    import torch

    source, _, model = name.partition(":")
    torch.manual_seed(0)
    if source == "timm":
        import timm

        made: nn.Module = timm.create_model(model, pretrained=False, num_classes=10)
    else:
        import torchvision

        with warnings.catch_warnings():  # two of them warn that their weights will change
            warnings.simplefilter("ignore", FutureWarning)
            made = torchvision.models.get_model(model, weights=None, num_classes=10)
    for module in made.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            assert module.running_mean is not None and module.running_var is not None
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return made.eval()


def forward(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Images of the first size that the network takes, and its logits."""
    import torch

    for size in SIZES:
        images = torch.randn((4, 3, size, size))
        try:
            with torch.no_grad():
                return images, model(images)
        except (RuntimeError, AssertionError, ValueError) as error:
            if size == SIZES[-1]:
                raise
            print(f"  no images of {size} pixels: {error}", file=sys.stderr)
    raise AssertionError("SIZES is empty")


def in_integers(prepared: fx.GraphModule, images: Tensor) -> str:
    """Layers in ONNX Runtime's integer kernels / all."""
    import onnx

    from edgestill.export.dialects import write_dialect
    from edgestill.export.fusion import fusion_report
    from edgestill.export.to_onnx import onnx_from_model
    from edgestill.models.fake_quant import calibrate
    from edgestill.models.ranges import ranges_of

    calibrate(prepared, [images], method="minmax")
    marked = onnx_from_model(prepared, tuple(images.shape[1:]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(write_dialect(marked, ranges_of(prepared), "ort-x86"), path)
        found = fusion_report(path, "ort-x86")
    return f"{found.int8}/{found.total}"


if __name__ == "__main__":
    sys.exit(main())
