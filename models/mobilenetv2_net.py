"""The MobileNetV2 itself: images (B, C, H, W) -> logits (B, K)."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import ConvBN, init_resnet
from .mobilenetv2 import MobileNetV2, strides_for


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, 1x1 linear projection, (B, C, H, W) -> (B, C', H', W')."""

    def __init__(self, channels_in: int, channels_out: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [ConvBN(channels_in, inner, kernel=1, stride=1), nn.ReLU6()]
        layers += [ConvBN(inner, inner, kernel=3, stride=stride, groups=inner), nn.ReLU6()]
        layers.append(ConvBN(inner, channels_out, kernel=1, stride=1))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.layers(images)
        return images + out if self.residual else out


class MobileNetV2Network(nn.Module):
    """Network of a `MobileNetV2` spec; `blocks` names the features that are distilled.

    These are the outputs of the third and the fifth stage, the second half the size of the first,
    and of the global pool.
    """

    def __init__(self, spec: MobileNetV2) -> None:
        super().__init__()
        stem_stride, strides = strides_for(spec.image_size)
        self.stem = ConvBN(spec.in_channels, spec.stem, kernel=3, stride=stem_stride)
        self.relu = nn.ReLU6()
        width_in, stages = spec.stem, []
        for stage, (width, repeats) in enumerate(zip(spec.widths, spec.repeats, strict=True)):
            expansion = spec.expansion if stage else 1
            blocks = []
            for block in range(repeats):
                stride = 1 if block else strides[stage]
                blocks.append(InvertedResidual(width_in, width, expansion=expansion, stride=stride))
                width_in = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.last = ConvBN(width_in, spec.head, kernel=1, stride=1)
        self.last_relu = nn.ReLU6()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(spec.head, spec.num_classes)
        # A block may end in a sum, which no module makes: its last layer's output stands for it.
        ends = (f"stages.{n}.{spec.repeats[n] - 1}.layers" for n in (2, 4))
        self.blocks: tuple[str, ...] = (*ends, "pool")
        init_resnet(self)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stages(self.relu(self.stem(images)))
        features = self.last_relu(self.last(features))
        logits: Tensor = self.fc(self.flatten(self.pool(features)))
        return logits
