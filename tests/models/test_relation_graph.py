"""The similarity graph against its equations, and what must hold for any batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from edgestill.models.errors import BadInput
from edgestill.models.relation_graph import class_mask, neighbor_mask, rows, similarity_graph


def features(
    samples: int, *shape: int, seed: int = 0, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Non-negative, as after a ReLU: about half of the entries are zero."""
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(samples, *shape, generator=chance, dtype=dtype).relu()


def adjacency_by_the_equations(vectors: np.ndarray) -> np.ndarray:
    """D^-1/2 S D^-1/2 with S the cosines and diagonal 0, as the paper writes it, in float64."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, 0.0)
    degree = np.diag(similarity.sum(axis=1) ** -0.5)
    return np.asarray(degree @ similarity @ degree)


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(2, 40), size=st.integers(8, 300), seed=st.integers(0, 1000))
def test_the_graph_is_the_one_of_the_equations(samples: int, size: int, seed: int) -> None:
    batch = features(samples, size, seed=seed) + 0.01

    graph = similarity_graph(batch)

    expected = adjacency_by_the_equations(batch.double().numpy())
    # float32 against float64: sums of some hundred terms, each with 6e-8.
    assert_close(graph.double().numpy(), expected, rtol=1e-6, atol=1e-7)


def test_the_power_is_the_matrix_power() -> None:
    batch = features(12, 40, dtype=torch.float64)

    cube = similarity_graph(batch, power=3)

    once = adjacency_by_the_equations(batch.numpy())
    assert_close(cube.numpy(), once @ once @ once, rtol=1e-12, atol=1e-14)


def test_the_neighbours_are_those_of_a_full_sort() -> None:
    graph = similarity_graph(features(20, 30))

    kept = neighbor_mask(graph, 4)

    values = graph.numpy()
    expected = np.zeros((20, 20), dtype=bool)
    for row in range(20):
        for column in np.argsort(-values[row])[:4]:
            expected[row, column] = expected[column, row] = True
    assert np.array_equal(kept.numpy(), expected)


def test_the_neighbours_are_taken_after_the_mask() -> None:
    batch, labels = features(20, 30), torch.arange(20) % 3
    mask = class_mask(labels, "intra")

    graph = similarity_graph(batch, mask=mask, neighbors=2)

    full = similarity_graph(batch) * mask
    assert_close(graph, full * neighbor_mask(full, 2), rtol=0, atol=0)


@pytest.mark.parametrize("neighbors", [4, 5, 128])
def test_a_batch_no_larger_than_its_neighbours_keeps_the_full_graph(neighbors: int) -> None:
    batch = features(5, 16)

    graph = similarity_graph(batch, neighbors=neighbors)

    assert_close(graph, similarity_graph(batch), rtol=0, atol=0)


def test_an_edge_of_negative_weight_goes_before_the_node_itself() -> None:
    graph = torch.tensor([[0.0, -0.1, -0.2], [-0.1, 0.0, 0.5], [-0.2, 0.5, 0.0]])

    kept = neighbor_mask(graph, 1)

    assert kept.tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(-3, 3), neighbors=st.none() | st.integers(1, 9))
def test_the_graph_does_not_see_the_length_of_a_sample(
    seed: int, scale: float, neighbors: int | None
) -> None:
    batch = features(10, 3, 4, 4, seed=seed, dtype=torch.float64) + 0.01
    lengths = 10.0 ** torch.linspace(0, scale, 10, dtype=torch.float64)

    scaled = similarity_graph(batch * lengths[:, None, None, None], neighbors=neighbors)

    assert_close(scaled, similarity_graph(batch, neighbors=neighbors), rtol=1e-9, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(9)), power=st.integers(1, 3))
def test_permuting_the_batch_permutes_the_graph(order: list[int], power: int) -> None:
    batch = features(9, 25, dtype=torch.float64)

    permuted = similarity_graph(batch[order], power=power, neighbors=3)

    graph = similarity_graph(batch, power=power, neighbors=3)
    assert_close(permuted, graph[order][:, order], rtol=1e-9, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(1, 30), seed=st.integers(0, 1000))
def test_non_negative_features_give_entries_between_0_and_1(samples: int, seed: int) -> None:
    batch = features(samples, 5, seed=seed)

    graph = similarity_graph(batch)

    assert bool((graph >= 0).all())
    assert float(graph.max()) <= 1 + 1e-6  # two samples that only know each other have exactly 1
    assert_close(graph, graph.T, rtol=1e-6, atol=1e-7)
    assert float(graph.diagonal().abs().max()) == 0


@pytest.mark.parametrize("dead", ["one sample", "all samples", "no common feature", "one in all"])
def test_dead_features_give_zeros_and_a_finite_gradient(dead: str) -> None:
    batch = {
        "one sample": torch.cat([torch.zeros(1, 6), features(5, 6)]),
        "all samples": torch.zeros(6, 6),
        "no common feature": torch.eye(6),
        "one in all": torch.ones(1, 6),
    }[dead].requires_grad_()

    graph = similarity_graph(batch)
    torch.autograd.backward(graph.square().sum())

    assert bool(graph.isfinite().all())
    assert float(graph.detach()[0].abs().max()) == 0
    assert batch.grad is not None
    assert bool(batch.grad.isfinite().all())


def test_half_precision_features_are_compared_in_float32() -> None:
    batch = features(16, 64).bfloat16()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        graph = similarity_graph(batch, power=2)

    assert graph.dtype == torch.float32
    # bfloat16 keeps 8 bits: a product in it would be off by 4e-3.
    assert_close(graph, similarity_graph(batch.float(), power=2), rtol=1e-6, atol=1e-8)


def test_the_gradient_is_exact_under_a_backward_in_autocast() -> None:
    plain, mixed = (features(16, 64).requires_grad_() for _ in range(2))

    torch.autograd.backward(similarity_graph(plain).square().sum())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.autograd.backward(similarity_graph(mixed).square().sum())

    assert_close(mixed.grad, plain.grad, rtol=0, atol=0)


@pytest.mark.parametrize("power", [1, 3])
def test_the_gradient_is_the_derivative(power: int) -> None:
    batch = (features(5, 7, dtype=torch.float64) + 0.1).requires_grad_()

    def graph(x: torch.Tensor) -> torch.Tensor:
        return similarity_graph(x, power=power, neighbors=3)

    assert torch.autograd.gradcheck(graph, batch)


def test_a_channels_last_tensor_gives_the_same_graph_without_a_copy() -> None:
    batch = features(8, 6, 5, 5)
    last = batch.to(memory_format=torch.channels_last)

    graph = similarity_graph(last)

    assert_close(graph, similarity_graph(batch), rtol=1e-5, atol=1e-7)  # another order of summing
    assert rows(last).data_ptr() == last.data_ptr()


def test_a_negative_cosine_is_no_edge() -> None:
    batch = torch.tensor([[1.0, 0.0], [1.0, 1.0], [-1.0, 1.0]])

    graph = similarity_graph(batch)

    # Cosines 1/sqrt(2), 0 and -1/sqrt(2): one edge is left, between two nodes of its degree.
    assert_close(graph, torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]]), rtol=1e-6, atol=0)


@given(seed=st.integers(0, 2**16))
def test_signed_features_give_entries_between_0_and_1(seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)

    graph = similarity_graph(torch.randn(16, 6, generator=chance))

    assert graph.min() >= 0
    assert graph.max() <= 1 + 1e-6


def test_the_gradient_of_signed_features_is_the_derivative() -> None:
    chance = torch.Generator().manual_seed(0)
    batch = torch.randn(6, 5, generator=chance, dtype=torch.float64, requires_grad=True)

    assert (similarity_graph(batch) == 0).sum() > 6  # more than the diagonal
    assert torch.autograd.gradcheck(similarity_graph, batch)


@pytest.mark.parametrize("number", [0, -1, 2.5, math.nan, math.inf])
@pytest.mark.parametrize("name", ["power", "neighbors"])
def test_what_is_no_count_is_refused(name: str, number: float) -> None:
    nonsense = {name: number}

    with pytest.raises(BadInput, match="expected a whole number, 1 or more"):
        similarity_graph(features(4, 4), **nonsense)  # type: ignore[arg-type]
