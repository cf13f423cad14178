"""The similarity graph of a batch: its samples are the nodes, their cosine similarities the edges.

Lassance, Bontonou, Boukli Hacene, Gripon, Tang, Ortega, "Deep geometric knowledge distillation with
graphs", ICASSP 2020 (arXiv 1911.03080), section 3.
"""

# B samples of the batch, which are the nodes of the graph; D features of one sample

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .errors import BadInput


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
    (B, B) of 0 and 1; then each node's `neighbors` strongest edges; then the matrix `power`.
    Computed in float32 at least, also under autocast.

    Features are meant to be non-negative, as after a ReLU; then every entry is in [0, 1]. A sample
    whose norm or degree is not above `eps` has no edges and gets no gradient, instead of NaN.

    >>> similarity_graph(torch.eye(3) + 1).round(decimals=3)
    tensor([[0.0000, 0.5000, 0.5000],
            [0.5000, 0.0000, 0.5000],
            [0.5000, 0.5000, 0.0000]])

    Raises BadInput for a power or a number of neighbours below 1.
    """
    if power < 1:
        raise BadInput(f"the graph's power is {power}; expected 1 or more")
    with torch.autocast(features.device.type, enabled=False):
        adjacency = _normalised(_cosines(features, eps), eps)
        if mask is not None:
            adjacency = adjacency * mask
        if neighbors is not None:
            adjacency = adjacency * neighbor_mask(adjacency, neighbors)
        return torch.linalg.matrix_power(adjacency, power) if power > 1 else adjacency


def neighbor_mask(adjacency: Tensor, neighbors: int) -> Tensor:
    """1 where j is among the `neighbors` strongest edges of i or i among those of j; (B, B).

    A node is not its own neighbour. With B - 1 neighbours or more, every edge stays.
    """
    if neighbors < 1:
        raise BadInput(f"the graph keeps {neighbors} neighbours; expected 1 or more")
    nodes = len(adjacency)
    if neighbors >= nodes - 1:
        return torch.ones_like(adjacency)
    # Out of the running: the diagonal is 0, and would beat an edge of negative weight.
    others = adjacency.detach().clone().fill_diagonal_(-torch.inf)
    strongest = others.topk(neighbors, dim=1, sorted=False).indices
    chosen = torch.zeros_like(adjacency).scatter_(1, strongest, 1.0)
    return torch.maximum(chosen, chosen.T)


def class_mask(labels: Tensor, kind: str) -> Tensor:
    """1 for the edges kept, (B, B), from labels (B,): "intra" within a class, "inter" between."""
    same = labels[:, None] == labels[None, :]
    if kind not in ("intra", "inter"):
        raise BadInput(f"unknown mask {kind!r} of the graph; expected intra, inter or none")
    return (same if kind == "intra" else ~same).to(torch.float32)


def rows(features: Tensor) -> Tensor:
    """Features (B, ...) as (B, D), in float32 or float64.

    A channels-last tensor is read in the order in which it lies: whoever compares samples by inner
    products or distances gets the same from any order, and so no copy is made.
    """
    if features.dim() == 4 and features.is_contiguous(memory_format=torch.channels_last):
        features = features.permute(0, 2, 3, 1)
    flat = features.reshape(len(features), -1)
    return flat if flat.dtype == torch.float64 else flat.float()


def _cosines(features: Tensor, eps: float) -> Tensor:
    # Norms from the diagonal, and scaled on the (B, B) side: the features are read once.
    products = gram(rows(features))
    squares = products.diagonal()
    scale = _inverse_root(squares, eps * eps)
    return (products - torch.diag(squares)) * scale[:, None] * scale[None, :]


def _normalised(similarity: Tensor, eps: float) -> Tensor:
    scale = _inverse_root(similarity.sum(dim=1), eps)
    return similarity * scale[:, None] * scale[None, :]


def _inverse_root(values: Tensor, eps: float) -> Tensor:
    """1 / sqrt(values), and 0 with gradient 0 where a value is not above eps."""
    alive = values > eps
    return torch.where(alive, torch.where(alive, values, 1.0).rsqrt(), 0.0)


def gram(vectors: Tensor) -> Tensor:
    """Inner products of every pair of rows, (B, B), from (B, D)."""
    products: Tensor = _Gram.apply(vectors)
    return products


class _Gram(torch.autograd.Function):
    """X X^T with the one matrix product that its gradient takes; autograd's own takes two."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        ctx.save_for_backward(vectors)
        return vectors @ vectors.T

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (vectors,) = ctx.saved_tensors
        (gradient,) = gradients
        # Whoever calls backward() under autocast would otherwise get a half-precision product.
        with torch.autocast(vectors.device.type, enabled=False):
            product: Tensor = (gradient + gradient.T) @ vectors
        return product
