"""Two thousand damaged recipes through the real command: one clear line each, never a traceback."""

from __future__ import annotations

import io
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from edgestill.pipeline.cli import main
from edgestill.pipeline.recipe import Recipe
from edgestill.pipeline.recipe_file import find_recipe


def _models(root: type[BaseModel]) -> list[type[BaseModel]]:
    """`root` and the models of its tables."""
    inner = [field.annotation for field in root.model_fields.values()]
    parts = [each for each in inner if isinstance(each, type) and issubclass(each, BaseModel)]
    return [root, *parts]


TEXT = find_recipe("digits").read_text()
LINES = TEXT.splitlines()
PAIRS = [index for index, line in enumerate(LINES) if re.match(r"\w+ = [^\[]", line)]
NUMBERS = [index for index in PAIRS if re.match(r"\w+ = [\d.]+( |$)", LINES[index])]
KEYS = {name for part in _models(Recipe) for name in part.model_fields}
TEXTS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="'"), max_size=20
)
LITERALS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["true", "[]", "{}", "[[1]]", "nan", "-inf", "1979-05-27", "07:32:00", '""']),
    TEXTS.map(lambda text: f"'{text}'"),
    st.lists(st.integers(-5, 5), max_size=4).map(str),
)
# Never a number above zero, whatever the key: words, signs, truths, lists, tables, not-numbers.
NO_NUMBERS = st.one_of(
    st.integers(-(2**70), -1).map(str),
    st.sampled_from(["true", "[]", "{}", "[3]", "nan", "inf", "1979-05-27", '"many"', '"3 M M"']),
)
LENIENT = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(LENIENT, max_examples=500)
@given(index=st.sampled_from(NUMBERS), literal=NO_NUMBERS)
def test_what_is_no_number_is_refused_by_file_table_and_key(tmp_path_factory, index, literal):  # type: ignore[no-untyped-def]
    key, table = LINES[index].split(" =")[0], _table(index)

    code, said = _plan(tmp_path_factory, _with(index, f"{key} = {literal}"))

    assert code == 2
    assert "recipe.toml" in said
    assert key in said
    assert table in said


@settings(LENIENT, max_examples=500)
@given(index=st.sampled_from(PAIRS), key=st.from_regex(r"[a-z_]{1,12}", fullmatch=True))
def test_an_unknown_key_is_refused_by_file_table_and_key(tmp_path_factory, index, key):  # type: ignore[no-untyped-def]
    assume(key not in KEYS)

    code, said = _plan(tmp_path_factory, _with(index, LINES[index], f"{key} = 1"))

    assert code == 2
    assert "recipe.toml" in said
    assert f"{key}: unknown key" in said
    assert _table(index) in said


@settings(LENIENT, max_examples=100)
@given(index=st.sampled_from(PAIRS))
def test_a_key_that_stands_twice_is_refused_by_its_place(tmp_path_factory, index):  # type: ignore[no-untyped-def]
    code, said = _plan(tmp_path_factory, _with(index, LINES[index], LINES[index]))

    assert code == 2
    assert "recipe.toml" in said
    assert LINES[index].split(" =")[0] in said
    assert _table(index) in said


@settings(LENIENT, max_examples=500)
@given(index=st.sampled_from(PAIRS), literal=LITERALS)
def test_any_value_is_taken_or_refused_in_one_line(tmp_path_factory, index, literal):  # type: ignore[no-untyped-def]
    key = LINES[index].split(" =")[0]

    code, said = _plan(tmp_path_factory, _with(index, f"{key} = {literal}"))

    assert code in (0, 2)
    if code == 2:
        assert key in said
        assert _table(index) in said


@settings(LENIENT, max_examples=400)
@given(
    place=st.integers(0, len(TEXT) - 1),
    garbage=st.binary(min_size=1, max_size=4),
    cut=st.booleans(),
)
def test_garbage_is_refused_in_one_line(tmp_path_factory, place, garbage, cut):  # type: ignore[no-untyped-def]
    raw = TEXT.encode()

    code, _ = _plan(tmp_path_factory, raw[:place] + garbage + (b"" if cut else raw[place + 1 :]))

    assert code in (0, 2)


def _with(index: int, *lines: str) -> list[str]:
    """The recipe with other lines in place of one."""
    return [*LINES[:index], *lines, *LINES[index + 1 :]]


def _table(index: int) -> str:
    """The first word of the table in which a line stands."""
    return next((m[1] for line in LINES[index::-1] if (m := re.match(r"\[+(\w+)", line))), "")


def _plan(factory, recipe) -> tuple[int, str]:  # type: ignore[no-untyped-def]
    """Exit code and stderr of `edgestill plan` on this recipe, as the console script runs it."""
    folder = _folder(factory)
    path = folder / "recipe.toml"
    path.write_bytes(recipe if isinstance(recipe, bytes) else "\n".join(recipe).encode())
    out, err = io.StringIO(), io.StringIO()
    words = ["edgestill", "plan", str(path), "--workdir", str(folder / "work")]
    with patch.object(sys, "argv", words), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    said = err.getvalue()
    if code == 2:
        assert said.count("\n") == 1, said
        assert said.startswith("edgestill: ")
    return code, said


_folders: list[Path] = []


def _folder(factory) -> Path:  # type: ignore[no-untyped-def]
    if not _folders:
        _folders.append(factory.mktemp("mutated"))
    return _folders[0]
