"""The RepVGG itself: images (B, C, H, W) -> logits (B, K)."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import init_resnet
from .branches import BranchedConv
from .repvgg import RepVGG, strides_for


class RepVGGBlock(nn.Module):
    """A convolution of several branches, then ReLU, (B, C, H, W) -> (B, C', H', W')."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int) -> None:
        super().__init__()
        self.conv = BranchedConv(channels_in, channels_out, stride=stride)
        self.relu = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.relu(self.conv(images))
        return out


class RepVGGNetwork(nn.Module):
    """Network of a `RepVGG` spec; `blocks` names the features that are distilled: the outputs of
    stages 2 and 3, and of the global pool."""

    def __init__(self, spec: RepVGG) -> None:
        super().__init__()
        stem_stride, strides = strides_for(spec.image_size)
        self.stem = RepVGGBlock(spec.in_channels, spec.stem, stride=stem_stride)
        width_in, stages = spec.stem, []
        for width, blocks, stride in zip(spec.widths, spec.blocks, strides, strict=True):
            first = RepVGGBlock(width_in, width, stride=stride)
            rest = (RepVGGBlock(width, width, stride=1) for _ in range(blocks - 1))
            stages.append(nn.Sequential(first, *rest))
            width_in = width
        self.stage1, self.stage2, self.stage3, self.stage4 = stages
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(width_in, spec.num_classes)
        ends = (f"stage{stage}.{spec.blocks[stage - 1] - 1}.relu" for stage in (2, 3))
        self.blocks: tuple[str, ...] = (*ends, "pool")
        init_resnet(self)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stage2(self.stage1(self.stem(images)))
        features = self.stage4(self.stage3(features))
        logits: Tensor = self.fc(self.flatten(self.pool(features)))
        return logits
