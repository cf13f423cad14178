"""Files whole, or with their weights beside them: ONNX Runtime opens both, and gets the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgestill.export import onnx_writing
from edgestill.export.metadata import read_metadata, write_metadata
from edgestill.export.onnx_writing import move_onnx, side_path, write_onnx
from edgestill.export.runtime import open_session
from edgestill.models.errors import BadInput


@pytest.fixture
def model() -> onnx.ModelProto:
    """images (N, 600) times a large weight plus a small one."""
    chance = np.random.default_rng(0)
    weights = {
        "large": chance.standard_normal((600, 3), dtype=np.float32),
        "larger": chance.standard_normal((3, 250), dtype=np.float32),
        "small": chance.standard_normal(250, dtype=np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["images", "large"], ["a"]),
            helper.make_node("MatMul", ["a", "larger"], ["b"]),
            helper.make_node("Add", ["b", "small"], ["logits"]),
        ],
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 600])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 250])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_weights_beside_the_file_are_the_same_network(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    images = {"images": np.random.default_rng(1).standard_normal((2, 600), dtype=np.float32)}
    write_onnx(model, tmp_path / "whole.onnx")
    write_onnx(model, tmp_path / "apart.onnx", external_data=True)

    whole, apart = (open_session(tmp_path / f"{name}.onnx") for name in ("whole", "apart"))

    np.testing.assert_array_equal(apart.run(None, images), whole.run(None, images))
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"whole.onnx", "apart.onnx", "apart.onnx.data"}
    assert (tmp_path / "apart.onnx").stat().st_size < 600 * 3 * 4


def test_writing_leaves_the_model_as_it_was_and_gives_the_same_bytes_twice(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    before = model.SerializeToString(deterministic=True)

    write_onnx(model, tmp_path / "m.onnx", external_data=True)
    first = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    write_onnx(model, tmp_path / "m.onnx", external_data=True)

    assert model.SerializeToString(deterministic=True) == before
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == first


def test_weights_of_an_earlier_export_do_not_stay_behind(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    write_onnx(model, tmp_path / "m.onnx", external_data=True)

    write_onnx(model, tmp_path / "m.onnx")

    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_only_weights_worth_it_move_and_lie_on_whole_pages(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    write_onnx(model, tmp_path / "m.onnx", external_data=True)

    told = onnx.load(tmp_path / "m.onnx", load_external_data=False).graph.initializer
    places = {
        tensor.name: {item.key: item.value for item in tensor.external_data} for tensor in told
    }
    assert places["small"] == {}, "1,000 bytes stay where they are"
    assert {int(place["offset"]) % 4096 for place in places.values() if place} == {0}
    assert {place["location"] for place in places.values() if place} == {"m.onnx.data"}
    assert side_path(tmp_path / "m.onnx").stat().st_size >= (600 * 3 + 3 * 250) * 4


def test_more_than_one_file_holds_is_refused_with_the_remedy(
    model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_writing, "LARGEST_BYTES", 9_999)  # 2 GiB take too long in a test

    with pytest.raises(BadInput, match="--external-data"):
        write_onnx(model, tmp_path / "m.onnx")
    write_onnx(model, tmp_path / "m.onnx", external_data=True)


def test_a_file_that_is_moved_to_another_name_takes_its_weights_along(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    images = {"images": np.ones((2, 600), np.float32)}
    write_metadata(model, {"external_data": "new.onnx.data"})
    write_onnx(model, tmp_path / "new.onnx", external_data=True)
    (tmp_path / "good.onnx.data").write_bytes(b"of another file")
    expected = open_session(tmp_path / "new.onnx").run(None, images)

    move_onnx(tmp_path / "new.onnx", tmp_path / "bad.onnx")

    files = {path.name for path in tmp_path.iterdir()}
    moved = onnx.load(tmp_path / "bad.onnx", load_external_data=False)
    assert files == {"bad.onnx", "bad.onnx.data", "good.onnx.data"}
    np.testing.assert_array_equal(open_session(tmp_path / "bad.onnx").run(None, images), expected)
    assert read_metadata(moved)["external_data"] == "bad.onnx.data"
    assert (tmp_path / "good.onnx.data").read_bytes() == b"of another file"


def test_a_whole_file_replaces_one_with_weights_beside_it(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    write_onnx(model, tmp_path / "m.onnx", external_data=True)
    write_onnx(model, tmp_path / "new.onnx")

    move_onnx(tmp_path / "new.onnx", tmp_path / "m.onnx")

    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
