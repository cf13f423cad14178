"""The similarity graph of a batch: its samples are the nodes, their cosine similarities the edges.

Lassance, Bontonou, Boukli Hacene, Gripon, Tang, Ortega, "Deep geometric knowledge distillation with
graphs", ICASSP 2020 (arXiv 1911.03080), section 3.
"""

# B samples of the batch, which are the nodes of the graph; D features of one sample

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .errors import BadInput
from .gram import gram

_FEW_NUMBERS = 2**15


def similarity_graph(
    features: Tensor,
    *,
    neighbors: int | None = None,
    power: int = 1,
    mask: Tensor | None = None,
    eps: float = 1e-8,
) -> Tensor:
    """The normalised adjacency matrix of a batch, (B, B), symmetric, from features (B, ...).

    Cosines of every pair (diagonal 0), divided by the square roots of both degrees; then `mask`
    (B, B), bool or 0 and 1; then each node's `neighbors` strongest edges; then the matrix `power`.
    Computed in float32 at least, also under autocast.

    Every entry is in [0, 1]. The method is stated for features after a ReLU; of others, a negative
    cosine is no edge, since degrees that cancel out would make the graph arbitrarily large. A
    sample whose norm or degree is not above `eps` has no edges, and no NaN comes of it, also not in
    the gradient. The gradient itself cannot be differentiated.

    >>> similarity_graph(torch.eye(3) + 1).round(decimals=3)
    tensor([[0.0000, 0.5000, 0.5000],
            [0.5000, 0.0000, 0.5000],
            [0.5000, 0.5000, 0.0000]])

    Raises BadInput for a power or a number of neighbours below 1.
    """
    if not (isinstance(power, int) and power >= 1):
        raise BadInput(f"the graph's power is {power}; expected a whole number, 1 or more")
    with torch.autocast(features.device.type, enabled=False):
        vectors = rows(features)
        # Pooled features can be so alike that their graphs differ in the fifth digit only. In a
        # large batch rounding evens out; in a small one float64 costs next to nothing.
        exact = vectors.double() if vectors.numel() <= _FEW_NUMBERS else vectors
        adjacency = _Adjacency.apply(gram(exact), eps).to(vectors.dtype)
        if mask is not None:
            adjacency = adjacency * mask
        if neighbors is not None:
            adjacency = adjacency * neighbor_mask(adjacency, neighbors)
        return matrix_power(adjacency, power)


def matrix_power(adjacency: Tensor, power: int) -> Tensor:
    """The symmetric (B, B) times itself, `power` factors in all."""
    product: Tensor = _Power.apply(adjacency, power) if power > 1 else adjacency
    return product


def neighbor_mask(adjacency: Tensor, neighbors: int) -> Tensor:
    """Whether j is among the `neighbors` strongest edges of i or i among those of j, (B, B).

    A node is not its own neighbour. With B - 1 neighbours or more, every edge stays.
    """
    if not (isinstance(neighbors, int) and neighbors >= 1):
        raise BadInput(
            f"the graph keeps {neighbors} neighbours; expected a whole number, 1 or more"
        )
    nodes = len(adjacency)
    if neighbors >= nodes - 1:
        return torch.ones_like(adjacency, dtype=torch.bool)
    # Out of the running: the diagonal is 0, and would beat an edge of negative weight.
    others = adjacency.detach().clone().fill_diagonal_(-torch.inf)
    strongest = others.topk(neighbors, dim=1, sorted=False).indices
    chosen = torch.zeros_like(adjacency, dtype=torch.bool).scatter_(1, strongest, True)
    return chosen | chosen.T


def class_mask(labels: Tensor, kind: str) -> Tensor:
    """The edges to keep, (B, B), from labels (B,): "intra" within a class, "inter" between."""
    same = labels[:, None] == labels[None, :]
    if kind not in ("intra", "inter"):
        raise BadInput(f"unknown mask {kind!r} of the graph; expected intra, inter or none")
    return same if kind == "intra" else ~same


def rows(features: Tensor) -> Tensor:
    """Features (B, ...) as (B, D), in float32 or float64.

    A channels-last tensor is read in the order in which it lies: whoever compares samples by inner
    products or distances gets the same from any order, and so no copy is made.
    """
    if features.dim() == 4 and features.is_contiguous(memory_format=torch.channels_last):
        features = features.permute(0, 2, 3, 1)
    flat = features.reshape(len(features), -1)
    return flat if flat.dtype == torch.float64 else flat.float()


class _Adjacency(torch.autograd.Function):
    """D^-1/2 S D^-1/2 from the Gram matrix P: S its cosines with diagonal 0, D their row sums.

    Lengths and degrees leave P in one step, and the gradient is written out: at B = 1024 3.0 ms
    where autograd's own takes 4.7 ms, and fewer (B, B) kept. What is one number per sample is
    float64: its rounding, common to a whole row, made the loss's error three times what it is.
    """

    @staticmethod
    def forward(ctx: Any, products: Tensor, eps: float) -> Tensor:
        against = products < 0
        adjacency = products.clamp(min=0.0).fill_diagonal_(0.0)
        per_length = _inverse_root(products.diagonal().double(), eps * eps)
        degree = per_length * (adjacency.double() @ per_length)
        per_root = _inverse_root(degree, eps)
        scale = (per_length * per_root).to(adjacency.dtype)
        adjacency.mul_(scale[:, None]).mul_(scale)
        ctx.save_for_backward(against, adjacency, per_length, per_root, degree)
        return adjacency

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        against, adjacency, *per_sample = ctx.saved_tensors
        per_length, per_root, degree = (values.to(adjacency.dtype) for values in per_sample)
        scale, root = per_length * per_root, degree * per_root
        # The loss's derivatives by log(scale), by the degrees, and by log(per_length).
        shares = gradient * adjacency
        by_scale = shares.sum(dim=0) + shares.sum(dim=1)
        by_degree = -0.5 * by_scale * per_root * per_root
        torch.mul(adjacency, root * by_degree, out=shares)
        by_length = 0.5 * by_scale + root * shares.sum(dim=1)
        by_products = (gradient * scale[:, None]).mul_(scale)
        by_products.addcmul_((by_degree * per_length)[:, None], per_length)
        by_products.masked_fill_(against, 0.0)
        by_products.diagonal().copy_(-0.5 * by_length * per_length * per_length)
        return by_products, None


class _Power(torch.autograd.Function):
    """The power of a symmetric matrix, its gradient in full precision also under autocast."""

    @staticmethod
    def forward(ctx: Any, adjacency: Tensor, power: int) -> Tensor:
        ctx.save_for_backward(adjacency)
        ctx.power = power
        product: Tensor = torch.linalg.matrix_power(adjacency, power)
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (adjacency,) = ctx.saved_tensors
        # The sum of A^i G A^(power - 1 - i), one more factor in every term at each turn.
        total = left = gradients[0]
        with torch.autocast(adjacency.device.type, enabled=False):
            for _ in range(ctx.power - 1):
                left = adjacency @ left
                total = total @ adjacency + left
        return total, None


def _inverse_root(values: Tensor, eps: float) -> Tensor:
    """1 / sqrt(values), and 0 where a value is not above eps."""
    return values.rsqrt().masked_fill_(values <= eps, 0.0)
