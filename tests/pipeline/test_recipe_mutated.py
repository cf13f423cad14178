"""Two thousand damaged recipes through the real command: one clear line each, never a traceback."""

from __future__ import annotations

import io
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgestill.pipeline.cli import main
from edgestill.pipeline.recipe_file import find_recipe

TEXT = find_recipe("digits").read_text()
LINES = TEXT.splitlines()
PAIRS = [index for index, line in enumerate(LINES) if re.match(r"\w+ = [^\[]", line)]
LITERALS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["true", "[]", "{}", "[[1]]", "nan", "-inf", "1979-05-27", "07:32:00", '""']),
    st.text(
        st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="'"), max_size=20
    ).map(lambda text: f"'{text}'"),
    st.lists(st.integers(-5, 5), max_size=4).map(str),
)


@settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
@given(index=st.sampled_from(PAIRS), literal=LITERALS)
def test_a_wrong_value_names_file_table_and_key(tmp_path_factory, index, literal):  # type: ignore[no-untyped-def]
    key = LINES[index].split(" =")[0]
    table = next((m[1] for line in LINES[index::-1] if (m := re.match(r"\[+([\w.]+)", line))), "")

    code, said = _plan(
        tmp_path_factory, [*LINES[:index], f"{key} = {literal}", *LINES[index + 1 :]]
    )

    assert code in (0, 2)
    if code == 2 and "no module" not in said:  # a name may be well spelt and absent
        assert "recipe.toml" in said
        assert key in said
        assert table.split(".")[0] in said


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    index=st.integers(0, len(LINES) - 1),
    key=st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
    move=st.sampled_from(["rename", "drop", "twice", "insert"]),
)
def test_a_wrong_key_is_refused_in_one_line(tmp_path_factory, index, key, move):  # type: ignore[no-untyped-def]
    line = LINES[index]
    changed = {
        "rename": [re.sub(r"^\w+", key, line)],
        "drop": [],
        "twice": [line, line],
        "insert": [line, f"{key} = 1"],
    }[move]

    code, _ = _plan(tmp_path_factory, [*LINES[:index], *changed, *LINES[index + 1 :]])

    assert code in (0, 2)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    place=st.integers(0, len(TEXT) - 1),
    garbage=st.binary(min_size=1, max_size=4),
    cut=st.booleans(),
)
def test_garbage_is_refused_in_one_line(tmp_path_factory, place, garbage, cut):  # type: ignore[no-untyped-def]
    raw = TEXT.encode()

    code, _ = _plan(tmp_path_factory, raw[:place] + garbage + (b"" if cut else raw[place + 1 :]))

    assert code in (0, 2)


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
