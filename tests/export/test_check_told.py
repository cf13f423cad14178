"""What a child says is shown as text that does nothing; what is for programs stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from edgestill.export.check import check_model
from edgestill.export.check_child import CheckWorker
from edgestill.export.check_told import Told
from edgestill.export.contract import Contract

Write = Callable[..., Path]
EVIL = "a\x1b[2J\x1b]0;pwn\x07b\u202e\n##[error]"
SHOWN = r"a\x1b[2J\x1b]0;pwn\x07b\u202e\n##[error]"


def texts(told: Any) -> list[str]:
    if isinstance(told, dict):
        return [text for pair in told.items() for each in pair for text in texts(each)]
    if isinstance(told, list):
        return [text for each in told for text in texts(each)]
    return [told] if isinstance(told, str) else []


def test_every_text_of_a_report_is_printable_and_its_facts_are_the_files(
    write_classifier: Write,
) -> None:
    relu = helper.make_node("Relu", [EVIL], ["seen"], EVIL)
    path = write_classifier("evil", before=[relu], size="side")
    model = onnx.load(path)
    model.graph.input[0].name = EVIL
    onnx.save(model, path)
    contract = Contract()

    with CheckWorker() as worker:
        there = worker.check(path, contract=contract)

    assert EVIL in check_model(path, contract=contract).inputs
    told = there.to_json()
    facts = told.pop("facts")
    assert all(map(str.isprintable, texts(told)))
    assert SHOWN in there.inputs
    assert facts["inputs"][0]["name"] == EVIL  # by which arrays and contracts are for it


def test_what_is_told_as_it_comes_is_printable() -> None:
    begun: list[str] = []
    told = Told(begun=begun.append)

    told.hear({"planned": [EVIL]})
    told.hear({"begun": EVIL})
    told.hear({"ended": {"name": EVIL, "verdict": "fail", "why": EVIL}})
    told.hear({"raised": {"kind": "BadInput", "says": EVIL, "code": 2}})
    told.hear({"broke": EVIL})

    assert begun == told.planned == list(told.lines) == [SHOWN]
    assert told.lines[SHOWN].why == str(told.raised) == SHOWN
    assert told.why == f"broke: {SHOWN}"
