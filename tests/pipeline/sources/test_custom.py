"""A user's own module as a source."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline.sources.custom import Custom, located

HEAD = "import numpy as np\nfrom PIL import Image\n"


def module(folder: Path, name: str, body: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(f"{HEAD}def load(split):\n    {body}\n")
    return path


def test_arrays_and_labels_are_taken(tmp_path: Path) -> None:
    module(tmp_path, "own_arrays", "return np.full((4, 5, 5, 3), 9, np.uint8), [0, 1, 0, 1]")
    before = list(sys.path)
    split = Custom("own_arrays", "load", tmp_path).train()
    assert split.labels.tolist() == [0, 1, 0, 1]
    assert np.array_equal(split.read(3), np.full((5, 5, 3), 9))
    assert sys.path == before


def test_a_list_of_pillow_images_is_taken(tmp_path: Path) -> None:
    module(
        tmp_path,
        "own_pictures",
        "return [Image.new('L', (3, 2), 10 * n) for n in range(4)], np.array([0, 1, 0, 1])",
    )
    split = Custom("own_pictures", "load", tmp_path).train()
    assert np.array_equal(split.read(2), np.full((2, 3, 3), 20))


def test_tensors_are_taken(tmp_path: Path) -> None:
    body = "import torch; return torch.ones(2, 4, 4, dtype=torch.uint8), torch.tensor([0, 1])"
    module(tmp_path, "own_tensors", body)
    split = Custom("own_tensors", "load", tmp_path).train()
    assert split.labels.tolist() == [0, 1]
    assert np.array_equal(split.read(0), np.ones((4, 4, 3)))


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("own_raise", "return 1 / 0", r"failed at .*own_raise\.py:4: ZeroDivisionError"),
        ("own_none", "return None", r"gave NoneType; expected a pair"),
        ("own_count", "return np.zeros((3, 2, 2), np.uint8), [0, 1]", "3 images and 2 labels"),
        ("own_label", "return np.zeros((3, 2, 2), np.uint8), [0, None, 1]", "row 1: label is mis"),
        ("own_one", "return np.zeros((3, 2, 2), np.uint8), [0, 0, 0]", "single class"),
        ("own_empty", "return [], []", r"own_empty:load\('train'\) holds no images"),
    ],
)
def test_what_a_function_gives_is_checked(
    tmp_path: Path, name: str, body: str, message: str
) -> None:
    module(tmp_path, name, body)
    with pytest.raises(BadInput, match=message):
        Custom(name, "load", tmp_path).train()


def test_floats_are_refused_by_row(tmp_path: Path) -> None:
    module(tmp_path, "own_floats", "return np.zeros((2, 4, 4, 3)), [0, 1]")
    split = Custom("own_floats", "load", tmp_path).train()
    with pytest.raises(BadInput, match=r"own_floats:load\('train'\), row 1: image holds float64"):
        split.read(1)


def test_an_unknown_module_is_refused_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"no module 'own_absent' in {tmp_path}"):
        Custom("own_absent", "load", tmp_path).train()


def test_an_unknown_function_is_refused_with_what_is_there(tmp_path: Path) -> None:
    module(tmp_path, "own_other", "return None")
    with pytest.raises(BadInput, match=r"own_other\.py has no 'lod'; found np, Image, load"):
        Custom("own_other", "lod", tmp_path).train()


def test_a_module_that_another_hides_is_refused(tmp_path: Path) -> None:
    module(tmp_path, "json", "return None")
    with pytest.raises(BadInput, match=r"module 'json' is .*json\.py, but another"):
        Custom("json", "load", tmp_path).train()


def test_a_module_is_located_without_running_it(tmp_path: Path) -> None:
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "sets.py").write_text("raise RuntimeError('imported')")
    assert located("own_package.sets", tmp_path) == package / "sets.py"
    assert Custom("own_package.sets", "load", tmp_path).files() == {
        "own_package.sets": package / "sets.py"
    }
