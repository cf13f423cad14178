"""The lines of a check about weights: how they are quantized, and which are lost."""

from __future__ import annotations

from .check_report import Line, Skip, judged
from .check_subject import Subject
from .layer_weights import LayerWeight, layer_weights
from .some import some

# A scale chosen by least squared error lets some codes saturate, at most one in a channel of nine
# weights. Half as large a scale as that puts a third of normally distributed weights at the ends.
LARGEST_SATURATED_SHARE = 0.25
# A scale as large as this leaves less than 6 of 8 bits.
SMALLEST_LARGEST_CODE = 32


def weights(subject: Subject) -> Line:
    """Weights have a scale for each output channel, if the contract asks for that."""
    found = _quantized(subject)
    coarse = [each.layer for each in found if _per_tensor(each)]
    asked = subject.contract.weights
    return judged(
        "weights",
        not coarse or asked != "per-channel",
        found=f"{len(found) - len(coarse)} of {len(found)} weights per channel"
        + (f"; per tensor: {some(coarse)}" if coarse else ""),
        expected=f"{asked} scales",
        figures={"per_tensor": len(coarse), "total": len(found)},
    )


def weight_codes(subject: Subject) -> Line:
    """The codes of quantized weights fill their range, and do not crowd at its ends."""
    found = _quantized(subject)
    wrong = [f"{each.layer}: {fault}" for each in found if (fault := _fault(each))]
    return judged(
        "weight_codes",
        not wrong,
        found=some(wrong) if wrong else f"{len(found)} weights use their codes",
        expected=f"at most {LARGEST_SATURATED_SHARE:.0%} of a weight's codes at the ends, and the"
        f" largest at least {SMALLEST_LARGEST_CODE}",
        figures={"wrong": len(wrong), "total": len(found)},
    )


def zero_channels_max(subject: Subject) -> Line:
    """Few enough output channels compute nothing: all their weights are zero."""
    limit = subject.contract.zero_channels_max or 0
    dead = {each.layer: each.dead for each in layer_weights(subject.whole_proto.graph)}
    count = sum(dead.values())
    told = some([f"{name} has {number}" for name, number in dead.items() if number])
    return judged(
        "zero_channels_max",
        count <= limit,
        found=f"{count} channels are all zero" + (f": {told}" if told else ""),
        expected=f"<= {limit}",
        figures={"zero_channels": count, "limit": limit},
    )


def biased_layers_min(subject: Subject) -> Line:
    """Enough convolutions and products have a bias: one that is lost in 8 bits hardly shows."""
    limit = subject.contract.biased_layers_min or 0
    found = layer_weights(subject.whole_proto.graph)
    biased = sum(each.biased for each in found)
    return judged(
        "biased_layers_min",
        biased >= limit,
        found=f"{biased} of {len(found)} convolutions and products have a bias",
        expected=f">= {limit}",
        figures={"biased_layers": biased, "total": len(found), "limit": limit},
    )


def _quantized(subject: Subject) -> list[LayerWeight]:
    every = layer_weights(subject.whole_proto.graph)
    found = [each for each in every if each.scales is not None and each.values.dtype.kind in "iu"]
    if not found:
        raise Skip("no convolution or product has weights in 8 bits")
    return found


def _per_tensor(weight: LayerWeight) -> bool:
    """One scale; a largest weight for all channels, written once for each, is one too."""
    assert weight.scales is not None
    return len(set(weight.scales.tolist())) == 1 and weight.values.shape[weight.channels] > 1


def _fault(weight: LayerWeight) -> str:
    import numpy as np

    assert weight.scales is not None
    if weight.axis is not None and weight.axis % weight.values.ndim != weight.channels:
        return f"scales along axis {weight.axis}, output channels are {weight.channels}"
    if weight.values.dtype.itemsize > 1:
        return ""
    middle = 0 if np.iinfo(weight.values.dtype).min else 128
    apart = np.abs(weight.values.astype(np.int32) - middle)
    share = float((apart >= 127).mean())
    if share > LARGEST_SATURATED_SHARE and weight.values.size > 4 * len(weight.scales):
        return f"{share:.0%} of the codes are at the ends"
    if 0 < apart.max() < SMALLEST_LARGEST_CODE:
        return f"the largest code is {apart.max()} of 127"
    return ""
