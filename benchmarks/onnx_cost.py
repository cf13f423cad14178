"""Whether the cost that is counted in an ONNX file is the one that fvcore counts in torch.

    python benchmarks/onnx_cost.py [NETWORK...] [--json FILE]

Promise: for torchvision's classifiers, as torch's own exporter writes them, the products are
exactly fvcore's (convolutions, linear layers, matrix products), and the parameters are exactly
torch's, less a scale and a shift and plus a bias for each channel of a BatchNorm that the exporter
folded. Exit code 1 if one differs. Minutes: the exports take the time.
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NETWORKS = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "vgg11",
)
# At 64 pixels VGG's pooling has 2x2 for its 7x7 to average, and the exporter writes its 49 divisors
# as a constant that looks like a weight.
SIDE, LEAST_SIDE = 64, {"inception_v3": 96, "vgg11": 224}
PRODUCTS = ("conv", "linear", "addmm", "matmul", "bmm", "einsum")


@dataclass(frozen=True, kw_only=True)
class Row:
    """Both counts for one network."""

    network: str
    macs: int
    macs_fvcore: int
    parameters: int
    parameters_torch: int
    folded_channels: int
    """Channels of BatchNorms that the exporter folded into convolutions."""
    peak_activation_bytes: int | None

    @property
    def same(self) -> bool:
        expected = self.parameters_torch - 2 * self.folded_channels + self.folded_channels
        return self.macs == self.macs_fvcore and self.parameters == expected


def main() -> int:
    """Export, count, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    rows = []
    print(f"{'network':<20}{'MACs':>14}{'of fvcore':>14}{'parameters':>13}{'of torch':>13}  folded")
    for name in wanted.networks:
        row = counted(name)
        rows.append(row)
        print(
            f"{row.network:<20}{row.macs:>14,}{row.macs_fvcore:>14,}{row.parameters:>13,}"
            f"{row.parameters_torch:>13,}{row.folded_channels:>8,}"
            + ("" if row.same else "  DIFFERS"),
            flush=True,
        )
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0 if all(row.same for row in rows) else 1


def counted(name: str) -> Row:
    """The cost of torchvision's `name` with random weights, by fvcore and from its ONNX file."""
    import torch
    from torch import nn

    from edgestill.export.onnx_cost import onnx_cost, unknown_values
    from edgestill.export.seen_shapes import with_seen_shapes
    from edgestill.export.sized import sized

    model = network(name)
    side = max(SIDE, LEAST_SIDE.get(name, 0))
    images = torch.zeros(1, 3, side, side)
    macs, params = by_fvcore(model, images)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch's exporter, about itself
        program = torch.onnx.export(model, (images,), dynamo=True, verbose=False)
    if program is None:
        raise RuntimeError(f"{name}: nothing was exported")
    proto = program.model_proto
    input_name = proto.graph.input[0].name
    whole = proto
    proto = sized(whole, {input_name: (3, side, side)}, batch=1, whole=False)
    if missing := unknown_values(proto):
        feeds = {input_name: images.numpy()}
        proto = with_seen_shapes(proto, missing, feeds, run=whole, folder=Path())
    cost = onnx_cost(proto)
    dims = {each.name: each.dims[0] for each in proto.graph.initializer if each.dims}
    left = [node for node in proto.graph.node if node.op_type == "BatchNormalization"]
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    return Row(
        network=name,
        macs=cost.macs,
        macs_fvcore=macs,
        parameters=cost.parameters,
        parameters_torch=params,
        folded_channels=sum(m.num_features for m in norms) - sum(dims[n.input[1]] for n in left),
        peak_activation_bytes=cost.peak_activation_bytes,
    )


def network(name: str) -> Any:
    """In eval mode, without heads for training, and no bias at zero, which an export may drop."""
    import torch
    import torchvision

    options = {}
    if name in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": False}
    model = getattr(torchvision.models, name)(weights=None, **options).eval()
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for values in model.parameters():
            values.add_(0.01 * torch.rand(values.shape, generator=chance))
    return model


def by_fvcore(model: Any, images: Any) -> tuple[int, int]:
    """Products of one inference, and parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.jit, which fvcore counts with
        from fvcore.nn import FlopCountAnalysis, parameter_count

        analysis = FlopCountAnalysis(model, (images,))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        kinds = analysis.by_operator()
    return sum(int(kinds[kind]) for kind in PRODUCTS), int(parameter_count(model)[""])


if __name__ == "__main__":
    raise SystemExit(main())
