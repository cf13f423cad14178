"""scikit-learn's digits as a source."""

from __future__ import annotations

import gzip

import numpy as np

from edgestill.pipeline.sources.digits import Digits


def test_all_digits_are_there_with_their_labels() -> None:
    from sklearn.datasets import load_digits

    split = Digits().train()
    assert len(split) == 1797
    assert np.array_equal(split.labels, load_digits().target)
    assert split.class_names == tuple("0123456789")


def test_a_digit_spans_the_grey_scale() -> None:
    from sklearn.datasets import load_digits

    split = Digits().train()
    pixels = split.read(5)
    assert pixels.shape == (8, 8, 3)
    assert np.array_equal(pixels[:, :, 1], np.round(load_digits().images[5] * 255 / 16))
    assert max(split.read(row).max() for row in range(50)) == 255


def test_the_file_behind_the_digits_is_the_one_scikit_learn_reads() -> None:
    (path,) = Digits().files().values()
    rows = np.loadtxt(gzip.decompress(path.read_bytes()).decode().splitlines(), delimiter=",")
    assert np.array_equal(rows[:, -1].astype(np.int64), Digits().train().labels)
