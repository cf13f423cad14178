"""[[profile.on]]: what a target is called, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline.profile_settings import On
from edgestill.pipeline.recipe_file import find_recipe, load_recipe
from edgestill.pipeline.stages.profile import files_for


@pytest.mark.parametrize(
    ("on", "name"),
    [
        (On(), "local"),
        (On(target="ssh://nvidia@orin:2222"), "orin"),
        (On(target="ssh://orin", power_mode="15W"), "orin@15W"),
        (On(target="ssh://orin", name="desk-3"), "desk-3"),
    ],
)
def test_a_target_is_called_by_its_name_or_its_host_and_mode(on: On, name: str) -> None:
    assert on.called == name


def test_several_targets_stand_in_the_order_of_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "two.toml"
    board = '[[profile.on]]\ntarget = "ssh://orin"\nengine = "tensorrt"\npower_mode = "15W"\n'
    recipe.write_text(f"{find_recipe('smoke').read_text()}\n{board}")

    local, orin = load_recipe(str(recipe)).profile.on

    assert (local.called, orin.called) == ("local", "orin@15W")
    assert (local.rounds, orin.engine) == (5, "tensorrt")


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ("[{}, {}]", "two targets are called 'local'; give them names: name = ..."),
        ("[{target='board'}]", "unknown device 'board'; expected local or ssh://"),
        ("[{engine='tensorrt', threads=2}]", "threads is ONNX Runtime's; tensorrt has none"),
        ("[{engine='trtexec', provider='cpu'}]", "provider is ONNX Runtime's"),
        ("[{engine='tflite'}]", "onnxruntime"),
        ("[{rounds=0}]", "greater than or equal to 1; found 0"),
        ("[{name='a b'}]", "[profile.on.0] name"),
        ("[]", "at least 1 item"),
    ],
)
def test_what_cannot_be_a_target_is_refused_in_one_line(targets: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        load_recipe("smoke", [f"profile.on={targets}"])

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_password_in_a_recipe_is_refused_and_not_repeated(tmp_path: Path) -> None:
    recipe = tmp_path / "secret.toml"
    secret = '[[profile.on]]\ntarget = "ssh://me:hunter2@orin"\n'
    recipe.write_text(f"{find_recipe('smoke').read_text()}\n{secret}")

    with pytest.raises(BadInput, match="a password in the name of a device") as refused:
        load_recipe(str(recipe))

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("on", "machine", "int8"),
    [
        (On(), "x86_64", "ort-x86"),
        (On(), "aarch64", "ort-arm64"),
        (On(), "riscv64", None),
        (On(provider="cuda"), "aarch64", None),
        (On(provider="tensorrt"), "aarch64", "tensorrt"),
        (On(engine="tensorrt"), "aarch64", "tensorrt"),
        (On(engine="trtexec"), "x86_64", "tensorrt"),
    ],
)
def test_each_runtime_gets_the_int8_file_made_for_it(
    on: On, machine: str, int8: str | None
) -> None:
    files = files_for(on, machine)

    assert list(files)[:2] == ["teacher", "student"]
    assert files.get(str(int8)) == (None if int8 is None else f"model.{int8}.onnx")
    assert len(files) == 2 + (int8 is not None)
