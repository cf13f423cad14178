"""Pillow's pictures as RGB, and every damaged one refused in one line."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgestill.models.errors import BadInput
from edgestill.pipeline.sources.decode import pixels_of, resized, rgb_of, rgb_of_array

PICTURE = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)


def encoded(kind: str, mode: str = "RGB") -> bytes:
    sink = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(sink, kind)
    return sink.getvalue()


def test_a_png_comes_back_pixel_by_pixel() -> None:
    assert np.array_equal(pixels_of(encoded("PNG"), "here"), PICTURE)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_every_8_bit_mode_becomes_rgb(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert pixels_of(encoded(kind, mode), "here").shape == (12, 10, 3)


def test_a_palette_with_transparency_keeps_its_colours() -> None:
    sink = io.BytesIO()
    picture = Image.fromarray(PICTURE).convert("P")
    picture.save(sink, "PNG", transparency=bytes(256))
    expected = np.asarray(picture.convert("RGB"))
    assert np.array_equal(pixels_of(sink.getvalue(), "here"), expected)


def test_16_bits_are_refused_and_not_clipped_to_white() -> None:
    deep = Image.fromarray(np.full((4, 4), 40_000, np.uint16))
    with pytest.raises(BadInput, match="here: image has mode I;16; expected 8 bits"):
        rgb_of(deep, "here")


@pytest.mark.parametrize("damaged", [b"", b"hello", encoded("JPEG")[:60], encoded("PNG")[:-30]])
def test_what_is_no_image_is_refused_with_its_place(damaged: bytes) -> None:
    with pytest.raises(BadInput, match=r"^a\.jpg, row 3: not a readable image") as caught:
        pixels_of(damaged, "a.jpg, row 3")
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"]),
    at=st.integers(26, 2000),  # past the headers, where a flipped size would ask for gigabytes
    to=st.integers(0, 255),
    keep=st.integers(1, 3000),
)
def test_no_damage_gets_past_the_refusal(kind: str, at: int, to: int, keep: int) -> None:
    damaged = bytearray(encoded(kind)[:keep])
    if at < len(damaged):
        damaged[at] = to
    try:
        pixels = pixels_of(bytes(damaged), "here")
    except BadInput as refusal:
        assert str(refusal).startswith("here: ")
    else:
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1)])
def test_grey_arrays_are_repeated_over_three_channels(shape: tuple[int, ...]) -> None:
    grey = np.arange(20, dtype=np.uint8).reshape(shape)
    pixels = rgb_of_array(grey, "here")
    assert np.array_equal(pixels, np.repeat(grey.reshape(5, 4, 1), 3, axis=2))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "image holds float32; expected uint8"),
        (np.zeros((4, 4, 4), np.uint8), r"image has shape \(4, 4, 4\)"),
        (np.zeros((3, 8, 8), np.uint8), "channels come last"),
        (np.zeros((0, 8, 3), np.uint8), r"image has shape \(0, 8, 3\)"),
    ],
)
def test_arrays_that_are_no_picture_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        rgb_of_array(array, "here")


def test_resizing_keeps_the_centre_of_the_longer_side() -> None:
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200
    assert (resized(wide, 8) == 200).all()


def test_resizing_is_bilinear_over_the_whole_picture() -> None:
    expected = Image.fromarray(PICTURE[1:11]).resize((5, 5), Image.Resampling.BILINEAR)
    assert np.array_equal(resized(PICTURE, 5), np.asarray(expected))
