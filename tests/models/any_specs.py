"""Specs of every family as hypothesis draws them: small ones, odd sizes and widths among them."""

from __future__ import annotations

from hypothesis import strategies as st

from edgestill.models.families import Spec
from edgestill.models.mobilenetv2 import MobileNetV2
from edgestill.models.repvgg import RepVGG
from edgestill.models.resnet import ResNet
from edgestill.models.wideresnet import WideResNet

CHANNELS, CLASSES, IMAGE_CHANNELS = st.integers(1, 12), st.integers(1, 20), st.integers(1, 4)
FEW, SIZES = st.integers(1, 2), st.integers(1, 13)
# Both sides of the sizes at which a family changes its stem, odd ones among them.
STEM_SIZES = st.sampled_from((1, 7, 16, 33, 64, 95, 96, 129))
ENDS = {"num_classes": CLASSES, "in_channels": IMAGE_CHANNELS}


def some(values: st.SearchStrategy[int], count: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[values] * count)


SPECS: dict[str, st.SearchStrategy[Spec]] = {
    "wideresnet": st.builds(
        WideResNet,
        blocks=some(FEW, 3),  # each further block repeats what the second one costs
        widths=some(CHANNELS, 3),
        stem=CHANNELS,
        image_size=SIZES,
        **ENDS,
    ),
    "resnet": st.builds(
        ResNet,
        blocks=some(FEW, 4),
        widths=some(CHANNELS, 4),
        large_stem=st.integers(0, 1),
        image_size=st.integers(1, 40),
        **ENDS,
    ),
    "mobilenetv2": st.builds(
        MobileNetV2,
        widths=some(CHANNELS, 7),
        repeats=some(FEW, 7),
        expansion=st.integers(2, 6),
        stem=CHANNELS,
        head=CHANNELS,
        image_size=STEM_SIZES,
        **ENDS,
    ),
    "repvgg": st.builds(
        RepVGG,
        blocks=some(FEW, 4),
        widths=some(CHANNELS, 4),
        stem=CHANNELS,
        image_size=STEM_SIZES,
        **ENDS,
    ),
}
