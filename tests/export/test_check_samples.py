"""Seeded inputs: the same every time, of the right type and shape, half of them like pictures."""

from __future__ import annotations

import numpy as np
import pytest

from edgestill.export.check_samples import edges, half_smooth, how_many, noise, sample_shape
from edgestill.export.ports import Port, Ports


def taking(dtype: str, *shape: int | str | None) -> Ports:
    port = Port(name="x", dtype=dtype, shape=shape)
    return Ports(inputs=(port,), outputs=())


def test_free_axes_have_the_size_asked_for_or_that_of_a_photograph() -> None:
    model = taking("float32", "N", 3, "H", "W")

    assert sample_shape(model.inputs[0], model, {"H": 9}) == (3, 9, 224)


def test_the_same_seed_gives_the_same_samples() -> None:
    model, shapes = taking("float32", "N", 3, 8, 8), {"x": (3, 8, 8)}

    first, again, other = (half_smooth(model, shapes, rows=6, seed=seed)["x"] for seed in (0, 0, 1))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("float32", (3, 32, 32)), ("float32", (32, 32, 3)), ("uint8", (32, 32, 3))],
)
def test_every_second_image_is_smooth(dtype: str, shape: tuple[int, int, int]) -> None:
    rows = half_smooth(taking(dtype, "N", *shape), {"x": shape}, rows=8, seed=0)["x"]
    across = 1 if shape[2] == 3 else 2

    # Neighbouring pixels of white noise are apart as any two are; of a picture they are alike.
    steps = np.abs(np.diff(rows.astype(np.float32), axis=across)).mean(axis=(1, 2, 3))
    spread = rows.astype(np.float32).std(axis=(1, 2, 3))

    assert (steps[::2] > 0.9 * spread[::2]).all()
    assert (steps[1::2] < 0.3 * spread[1::2]).all()
    assert rows.dtype == dtype


@pytest.mark.parametrize("dtype", ["float16", "uint8", "int8", "int64", "bool"])
def test_noise_has_the_type_of_the_input(dtype: str) -> None:
    drawn = noise(taking(dtype, "N", 5), {"x": (5,)}, rows=64, seed=0)["x"]

    assert drawn.dtype == dtype
    assert len(np.unique(drawn)) > 1


def test_edges_reach_the_ends_of_what_the_type_holds() -> None:
    pixels = edges(taking("uint8", "N", 4), {"x": (4,)}, peak=4.0)
    floats = edges(taking("float32", "N", 400), {"x": (400,)}, peak=2.5)

    assert (pixels["the largest"]["x"] == 255).all()
    assert (pixels["the smallest"]["x"] == 0).all()
    assert set(np.unique(floats["extremes by chance"]["x"])) == {-2.5, 2.5}
    assert not floats["zeros"]["x"].any()


def test_large_inputs_get_fewer_rows() -> None:
    assert how_many({"x": (3, 32, 32)}) == 32
    assert how_many({"x": (3, 640, 640)}) == 4
