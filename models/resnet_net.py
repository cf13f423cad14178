"""The ResNet itself: images (B, C, H, W) -> logits (B, K)."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import BasicBlock, ConvBN, init_resnet
from .resnet import ResNet


class ResNetwork(nn.Module):
    """Network of a `ResNet` spec; `blocks` names the three features that are distilled: the outputs
    of stages 2 and 3 after their last ReLU, and of the global pool."""

    def __init__(self, spec: ResNet) -> None:
        super().__init__()
        width_in = spec.widths[0]
        kernel, stride = (7, 2) if spec.large_stem else (3, 1)
        self.stem = ConvBN(spec.in_channels, width_in, kernel=kernel, stride=stride)
        self.relu = nn.ReLU()
        self.shrink: nn.Module = (
            nn.MaxPool2d(3, stride=2, padding=1) if spec.large_stem else nn.Identity()
        )
        stages = []
        for stage, (width, blocks) in enumerate(zip(spec.widths, spec.blocks, strict=True)):
            first = BasicBlock(width_in, width, stride=2 if stage else 1)
            rest = (BasicBlock(width, width, stride=1) for _ in range(blocks - 1))
            stages.append(nn.Sequential(first, *rest))
            width_in = width
        self.stage1, self.stage2, self.stage3, self.stage4 = stages
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(width_in, spec.num_classes)
        ends = (f"stage{stage}.{spec.blocks[stage - 1] - 1}.relu2" for stage in (2, 3))
        self.blocks: tuple[str, ...] = (*ends, "pool")
        init_resnet(self)

    def forward(self, images: Tensor) -> Tensor:
        features = self.shrink(self.relu(self.stem(images)))
        features = self.stage2(self.stage1(features))
        features = self.stage4(self.stage3(features))
        logits: Tensor = self.fc(self.flatten(self.pool(features)))
        return logits
