"""Building blocks of the networks: written to be traced by torch.fx and folded layer by layer."""

from __future__ import annotations

from torch import Tensor, nn


class ConvBN(nn.Sequential):
    """Convolution without bias, then batch norm; padded so that stride alone changes the size."""

    def __init__(
        self, channels_in: int, channels_out: int, *, kernel: int, stride: int, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in,
            channels_out,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(channels_out)


class BasicBlock(nn.Module):
    """Post-activation residual block of two 3x3 convolutions, (B, C, H, W) -> (B, C', H', W').

    Each ReLU is a module called once, so its path names one value in the traced graph too: before
    folding, after it, and with quantization points around it.
    """

    def __init__(self, channels_in: int, channels_out: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvBN(channels_in, channels_out, kernel=3, stride=stride)
        self.relu1 = nn.ReLU()
        self.conv2 = ConvBN(channels_out, channels_out, kernel=3, stride=1)
        same = stride == 1 and channels_in == channels_out
        self.shortcut: nn.Module = (
            nn.Identity() if same else ConvBN(channels_in, channels_out, kernel=1, stride=stride)
        )
        self.relu2 = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        inner: Tensor = self.conv2(self.relu1(self.conv1(images)))
        out: Tensor = self.relu2(inner + self.shortcut(images))
        return out


def init_resnet(network: nn.Module) -> None:
    """Initialise in place: He et al., "Delving Deep into Rectifiers", eq. 10, backward form.

    Convolutions normal over fan-out, batch norm one and zero, the linear layer as torch does it
    with a zero bias.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
