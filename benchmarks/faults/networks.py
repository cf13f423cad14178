"""The seeded networks that faults are planted in: none degenerate, none larger than it must be.

reader      a WRN-10 that has learned coloured digits; its classes mean something
two_heads   pooling, grouped and dilated convolutions, Resize, Concat and two outputs
tokens      a small transformer: token numbers and a mask in, six classes out
warmed      a torchvision network, random weights, BatchNorm statistics and classes in use
"""

# N images or sequences, C channels, H rows, W columns, T tokens, K classes

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE, TOKENS, VOCABULARY = 16, 12, 50
TRAINED_ON = 1400
# Of the three channels of a pixel in [0, 1]; unequal, so that an exchange of any two shows.
MEAN, STD = (0.47, 0.40, 0.33), (0.30, 0.26, 0.21)


def coloured_digits() -> tuple[Tensor, Tensor]:
    """scikit-learn's 1,797 digits (N, H, W, 3) uint8, each in ink and paper of seeded colours."""
    from sklearn.datasets import load_digits

    found = load_digits()
    chance = torch.Generator().manual_seed(0)
    count = len(found.target)
    grey = torch.tensor(found.images, dtype=torch.float32)[:, None] / 16
    large = F.interpolate(grey, size=(SIZE, SIZE), mode="bilinear")
    tint = torch.tensor([1.0, 0.85, 0.7]).reshape(1, 3, 1, 1)
    ink = (0.6 + 0.4 * torch.rand((count, 3, 1, 1), generator=chance)) * tint
    paper = 0.4 * torch.rand((count, 3, 1, 1), generator=chance) * tint
    pixels = (255 * (large * ink + (1 - large) * paper)).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous(), torch.tensor(found.target)


def normalised(pixels: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 as the reader takes it: (N, 3, H, W) float32."""
    mean, std = (torch.tensor(each).reshape(1, 3, 1, 1) for each in (MEAN, STD))
    return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std


class FromPixels(nn.Module):
    """A network that takes raw pixels (N, H, W, 3) uint8 and normalises them itself."""

    def __init__(self, inner: nn.Module, mean: Any = MEAN, std: Any = STD, peak: float = 255):
        super().__init__()
        self.inner, self.peak = inner, peak
        self.mean = nn.Buffer(torch.tensor(mean).reshape(1, 3, 1, 1))
        self.std = nn.Buffer(torch.tensor(std).reshape(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        planes = pixels.permute(0, 3, 1, 2).float() / self.peak
        logits: Tensor = self.inner((planes - self.mean) / self.std)
        return logits


def trained_reader(*, epochs: int = 5) -> tuple[nn.Module, nn.Module]:
    """The WRN-10 after `epochs`, and as it was one epoch before."""
    from edgestill.models.student import build
    from edgestill.models.wideresnet import WideResNet

    pixels, labels = coloured_digits()
    images = normalised(pixels)
    student = build(
        WideResNet(blocks=(1, 1, 1), widths=(8, 16, 32), image_size=SIZE), seed=0
    ).train()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9)
    order = torch.Generator().manual_seed(0)
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.02, total_iters=max(epochs - 1, 1))
    before = student
    for _ in range(epochs):
        before = copy.deepcopy(student)
        for rows in torch.randperm(TRAINED_ON, generator=order).reshape(-1, 50):
            loss = F.cross_entropy(student(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's annotation is missing
            optimizer.step()
        slower.step()
    return student.eval(), before.eval()


class TwoHeads(nn.Module):
    """What detectors are made of: images (N, 3, 34, 34) -> scores (N, 5), boxes (N, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        # 34 -> 16 by rounding down, 17 by rounding up
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=4)
        self.dilated = nn.Conv2d(16, 16, 3, padding=2, dilation=2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.mixed = nn.Conv2d(32, 16, 1)
        self.mean = nn.AvgPool2d(3, stride=2, padding=1)
        self.scores, self.boxes = nn.Linear(32, 5), nn.Linear(32, 4)
        self.shuffles = True

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        wide = self.pool(self.stem(images))
        grouped = self.grouped(wide)
        if self.shuffles:
            # As ShuffleNet; torch's older exporter does not know channel_shuffle.
            grouped = grouped.unflatten(1, (4, 4)).transpose(1, 2).flatten(1, 2)
        deep = F.hardswish(self.dilated(grouped))
        deep = self.up(F.max_pool2d(deep, 2, ceil_mode=True))[:, :, :17, :17]
        mixed = self.mean(F.relu(self.mixed(torch.cat([wide, deep], dim=1))))
        flat = torch.cat([mixed.mean((2, 3)), mixed.amax((2, 3))], dim=1)
        return torch.sigmoid(self.scores(flat)), self.boxes(flat)


class Attention(nn.Module):
    """Two heads over T tokens of 32 values."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(32, 32) for _ in range(4))
        self.axis = -1

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            made(x).unflatten(-1, (2, 16)).transpose(1, 2)
            for made in (self.query, self.key, self.value)
        )
        apart = (1 - mask[:, None, None, :].float()) * -1e4
        weights = torch.softmax(query @ key.transpose(-1, -2) / 4 + apart, dim=self.axis)
        mixed: Tensor = self.out((weights @ value).transpose(1, 2).flatten(-2))
        return mixed


class Tokens(nn.Module):
    """ids and mask (N, T) int64 -> logits (N, 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(VOCABULARY, 32), nn.Embedding(TOKENS, 32)
        self.norm, self.after = nn.LayerNorm(32), nn.LayerNorm(32)
        self.attention = Attention()
        self.wide, self.narrow = nn.Linear(32, 64), nn.Linear(64, 32)
        self.gelu = nn.GELU()
        self.head = nn.Linear(32, 6)
        self.masks = True

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        seen = mask if self.masks else torch.ones_like(mask) + 0 * mask
        x = self.embed(ids) + self.place.weight
        x = x + self.attention(self.norm(x), seen)
        x = x + self.narrow(self.gelu(self.wide(self.after(x))))
        kept = mask[:, :, None].float()
        logits: Tensor = self.head((x * kept).sum(1) / kept.sum(1))
        return logits


class Segmenting(nn.Module):
    """A segmentation network of torchvision that gives its logits (N, K, H, W) alone."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(images)["out"]
        return logits


def two_heads() -> nn.Module:
    """The seeded `TwoHeads`, its BatchNorm warmed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = TwoHeads()
    images = noise((3, 34, 34), rows=64, seed=1)
    _warmed(made, images)
    with torch.no_grad():
        for head, kept in zip((made.scores, made.boxes), _seen_by_heads(made, images), strict=True):
            spread = kept.std(0).mean()
            head.weight *= 1.5 / spread
            head.bias.copy_((head.bias - kept.mean(0)) * 1.5 / spread)
    return made


def _seen_by_heads(made: TwoHeads, images: Tensor) -> tuple[Tensor, Tensor]:
    scores, boxes = made(images)
    return torch.logit(scores), boxes


def tokens() -> nn.Module:
    """The seeded `Tokens`, with layers strong enough that every one is heard in the logits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        made = Tokens()
    with torch.no_grad():
        for layer in made.modules():
            if isinstance(layer, nn.Linear):
                layer.weight *= 2
    return made.eval()


def some_tokens(rows: int, seed: int) -> dict[str, Tensor]:
    """ids and masks (N, T) int64; between a third and all of the tokens of a row count."""
    chance = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, VOCABULARY, (rows, TOKENS), generator=chance)
    lengths = torch.randint(TOKENS // 3, TOKENS + 1, (rows, 1), generator=chance)
    mask = (torch.arange(TOKENS)[None] < lengths).long()
    return {"ids": ids * mask, "mask": mask}


def noise(shape: tuple[int, int, int], rows: int, seed: int) -> Tensor:
    """(N, C, H, W): every other row white noise or smooth, in seeded brightness and contrast."""
    chance = torch.Generator().manual_seed(seed)
    channels, height, width = shape
    white = torch.randn((rows, *shape), generator=chance)
    coarse = torch.randn((rows, channels, 5, 5), generator=chance)
    smooth = F.interpolate(coarse, size=(height, width), mode="bilinear")
    mixed = torch.where(torch.arange(rows)[:, None, None, None] % 2 == 0, white, smooth)
    contrast = 0.7 + 0.6 * torch.rand((rows, 1, 1, 1), generator=chance)
    return mixed * contrast + 0.3 * torch.randn((rows, channels, 1, 1), generator=chance)


def warmed(name: str, size: int, seed: int = 0) -> nn.Module:
    """torchvision's network `name` for 3 x size x size, random but alive: see `_warmed`."""
    import torchvision

    homes = (torchvision.models, torchvision.models.segmentation)
    make = next(getattr(home, name) for home in homes if hasattr(home, name))
    unneeded: dict[str, Any] = {}
    if hasattr(torchvision.models.segmentation, name):
        unneeded = {"weights_backbone": None}
    if name in ("googlenet", "inception_v3"):
        unneeded = {"aux_logits": False, "init_weights": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made: nn.Module = make(weights=None, **unneeded)
        if hasattr(torchvision.models.segmentation, name):
            made = Segmenting(made)
        return _warmed(made, noise((3, size, size), rows=24, seed=seed))


def _warmed(made: nn.Module, images: Tensor) -> nn.Module:
    """`made` with the BatchNorm statistics of `images`, and classes that differ from row to row."""
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the mean over the passes
    with torch.no_grad():
        made.train()
        for layer in made.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        for part in images.chunk(2):
            made(part)
        made.eval()
        last = [layer for layer in made.modules() if isinstance(layer, nn.Linear)][-1:]
        out = made(images)
        if last and isinstance(out, Tensor) and out.ndim == 2:
            spread = out.std(0).mean()
            last[0].weight *= 2 / spread
            last[0].bias.copy_((last[0].bias - out.mean(0)) * 2 / spread)
    return made
