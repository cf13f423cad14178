"""The WideResNet itself: images (B, C, H, W) -> logits (B, K)."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import BasicBlock, ConvBN, init_resnet
from .wideresnet import STRIDES, WideResNet


class WideResNetwork(nn.Module):
    """Network of a `WideResNet` spec; `blocks` names the three features that are distilled.

    These are the outputs of stages 1 and 2 after their last ReLU, unpooled, and of stage 3 after
    the global average pool. The paths are those of single-use leaf modules, so that they still
    hold in a torch.fx graph of this network.
    """

    def __init__(self, spec: WideResNet) -> None:
        super().__init__()
        self.stem = ConvBN(spec.in_channels, spec.stem, kernel=3, stride=1)
        self.relu = nn.ReLU()
        width_in, stages = spec.stem, []
        for width, blocks, stride in zip(spec.widths, spec.blocks, STRIDES, strict=True):
            first = BasicBlock(width_in, width, stride=stride)
            rest = (BasicBlock(width, width, stride=1) for _ in range(blocks - 1))
            stages.append(nn.Sequential(first, *rest))
            width_in = width
        self.stage1, self.stage2, self.stage3 = stages
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(width_in, spec.num_classes)
        ends = (f"stage{stage}.{spec.blocks[stage - 1] - 1}.relu2" for stage in (1, 2))
        self.blocks: tuple[str, ...] = (*ends, "pool")
        init_resnet(self)

    def forward(self, images: Tensor) -> Tensor:
        features = self.relu(self.stem(images))
        features = self.stage3(self.stage2(self.stage1(features)))
        logits: Tensor = self.fc(self.flatten(self.pool(features)))
        return logits
