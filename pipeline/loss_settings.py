"""The losses that a recipe can name, each with its options and its source."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from .section import Count, NotNegative, Positive, Section, each_once


class CrossEntropy(Section):
    """The labels' own loss. A term of weight 1 stands in every list that does not name it."""

    name: Literal["cross_entropy"]
    weight: NotNegative = 1.0
    """Factor of the term."""


class Gkd(Section):
    """Graph knowledge distillation (Lassance et al. 2020)."""

    name: Literal["gkd"]
    weight: NotNegative = 25.0
    """Factor of the sum of squared differences, divided by the number of blocks."""
    power: Annotated[int, Field(ge=1, le=8)] = 1
    """Power of the adjacency matrix."""
    neighbors: Count | None = None
    """Keep the teacher's k nearest neighbours of each image; absent: the full graph."""
    mask: Literal["intra", "inter"] | None = None
    """Keep edges within, or between, classes."""


class Kd(Section):
    """Knowledge distillation of the logits (Hinton et al. 2015)."""

    name: Literal["kd"]
    weight: NotNegative = 0.9
    """Factor of the divergence, already scaled by the squared temperature."""
    temperature: Positive = 4.0
    """Softens both logits."""


class RkdDistance(Section):
    """Relational distillation of distances (Park et al. 2019)."""

    name: Literal["rkd_distance"]
    weight: NotNegative = 25.0
    """Factor of the term."""


Loss = Annotated[CrossEntropy | Gkd | Kd | RkdDistance, Field(discriminator="name")]


Losses = Annotated[tuple[Loss, ...], Field(min_length=1), AfterValidator(each_once)]
