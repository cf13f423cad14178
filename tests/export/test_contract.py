"""A contract says what it asks for; a mistake in it names file, table and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edgestill.export.contract import Contract, ParityLimits
from edgestill.export.contract_file import contract_from_toml
from edgestill.models.errors import BadInput

FULL = """
[check]
top1_drop = 0.01
int8_fraction = 0.9
opset_max = 18
ir_max = 10
max_bytes = "200KB"
finite = true
batch_invariant = false
batch_tolerance = 0.001
dynamic_batch = true
single_file = true
allow_skipped = false

[check.parity]
max_abs = 1
cosine_min = 0.99
top1_agreement_min = 0.95
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "contract.toml"
    path.write_text(text)
    return path


def test_every_line_of_a_contract_is_read(tmp_path: Path) -> None:
    contract = contract_from_toml(written(tmp_path, FULL))

    assert contract == Contract(
        top1_drop=0.01,
        int8_fraction=0.9,
        opset_max=18,
        ir_max=10,
        max_bytes=200_000,
        parity=ParityLimits(max_abs=1.0, cosine_min=0.99, top1_agreement_min=0.95),
        batch_invariant=False,
        batch_tolerance=0.001,
        dynamic_batch=True,
        allow_skipped=False,
    )


def test_every_line_is_optional(tmp_path: Path) -> None:
    assert contract_from_toml(written(tmp_path, "[check]\n")) == Contract()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[check]\ntop1_dorp = 0.1", r"\[check\] top1_dorp: unknown key; did you mean 'top1_drop'"),
        (
            "[check.parity]\ncosine_mni = 0.9",
            r"\[check.parity\] cosine_mni: unknown key; did you mean 'cosine_min'",
        ),
        ("[check]\ntop1_drop = 1.5", r"\[check\] top1_drop: .*less than or equal to 1, found 1.5"),
        ("[check]\ntop1_drop = nan", r"\[check\] top1_drop: .*finite"),
        ("[check]\ntop1_drop = true", r"\[check\] top1_drop: .*found True"),
        ("[check]\nfinite = 1", r"\[check\] finite: .*boolean, found 1"),
        ("[check]\nopset_max = 0", r"\[check\] opset_max: .*found 0"),
        ('[check]\nopset_max = "18"', r"\[check\] opset_max: .*integer, found '18'"),
        ('[check]\nmax_bytes = "many"', r"\[check\] max_bytes: .*many"),
        ("[check]\nparity = 3", r"\[check\] parity: "),
        ("[check]\ntop1_drop = -1\nint8_fraction = 2", r"top1_drop: .*\(and 1 more\)"),
        ("[chekc]\ntop1_drop = 0.1", r"unknown table \[chekc\]; a contract holds \[check\]"),
        ("check = 3", r"no \[check\] table"),
        ("", r"no \[check\] table"),
        ("[check\n", "not TOML"),
        ("a = " + "[" * 5000, "not TOML"),
    ],
    ids=lambda value: value[:30].replace("\n", " ") if isinstance(value, str) else None,
)
def test_a_mistake_is_one_line_with_file_table_and_key(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(BadInput, match=r"contract\.toml: .*" + says) as caught:
        contract_from_toml(written(tmp_path, text))

    assert "\n" not in str(caught.value)


KEYS = [*Contract.model_fields, "stranger", '"a b"', "check"]
VALUES = ["1", "-1", "0.5", "inf", "nan", "true", '"9KB"', '""', "[]", "{}", "1979-05-27"]
VALUES += ["{max_abs = 1}", "{max_abs = {a = 1}}", "99999999999999999999999"]


# the file is written anew for every example
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3))
def test_whatever_stands_in_a_contract_is_read_or_refused_in_one_line(
    tmp_path: Path, keys: dict[str, str]
) -> None:
    lines = [f"{key} = {value}" for key, value in keys.items()]
    path = written(tmp_path, "\n".join(["[check]", *lines]))

    try:
        read = contract_from_toml(path)
    except BadInput as error:
        assert str(error).startswith(f"{path}: [check")
        assert "\n" not in str(error)
    else:
        assert read.model_fields_set == keys.keys()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "contract.toml"
    binary.write_bytes(b"[check]\n\xff")

    with pytest.raises(BadInput, match=r"absent\.toml: cannot be read"):
        contract_from_toml(tmp_path / "absent.toml")
    with pytest.raises(BadInput, match=r"not UTF-8 text \(byte 8\)"):
        contract_from_toml(binary)


def test_a_contract_cannot_be_changed() -> None:
    contract = Contract()

    with pytest.raises(ValidationError, match="frozen"):
        contract.finite = False  # type: ignore[misc]  # the point of the test
