"""A request is taken as meant or refused with its key; a line out is JSON that all can read."""

from __future__ import annotations

import json

import pytest

from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.protocol import (
    Case,
    Request,
    event_line,
    parse_request,
    request_line,
)


def test_a_request_comes_through_unchanged() -> None:
    case = Case(model="a b.onnx", label="a", engine="trtexec", batch=4, threads=2, dla_core=1)
    request = Request(cases=(case, Case(model="c")), rounds=3, seconds=0.25, job="0123abcd")

    line = request_line(request)

    assert line.endswith("\n")
    assert parse_request(line) == request


def of(case: str, *rest: str) -> str:
    """The text of a request with one case."""
    return "{" + ", ".join([f'"cases": [{{{case}}}]', *rest]) + "}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "names no model"),
        ('{"cases": []}', "names no model"),
        ('{"cases": "m.onnx"}', "names no model"),
        ('{"cases": [3]}', "a case must be a JSON object, not int 3"),
        ('{"cases": [{}]}', "a case names no model"),
        ('{"cases": [' + "{}," * 256 + "{}]}", "257 cases; at most 256"),
        (of('"model": 3'), "model must be text"),
        (of('"model": ""'), "model must be text"),
        (of('"model": "m", "bacth": 1'), "unknown key 'bacth'; known: model, label"),
        (of('"model": "m", "batch": 0'), "batch is 0; allowed: 1 to 65536"),
        (of('"model": "m", "batch": true'), "batch must be a whole number, not bool True"),
        (of('"model": "m", "batch": 1.0'), "batch must be a whole number"),
        (of('"model": "m", "batch": null'), "batch must be a whole number, not null"),
        (of('"model": "m", "engine": "tf"'), "unknown engine 'tf'; known: onnxruntime, tensorrt"),
        (of('"model": "m", "precision": "int4"'), "unknown precision 'int4'; known: as-file"),
        (
            of('"model": "m"', '"model": "m"'),
            "unknown key 'model'; known: cases, yardstick, rounds",
        ),
        (of('"model": "m"', '"seconds": "2"'), "seconds must be a number, not str"),
        (of('"model": "m"', '"seconds": NaN'), "seconds is nan"),
        (of('"model": "m"', '"seconds": Infinity'), "seconds is inf"),
        (of('"model": "m"', '"strict": 1'), "strict must be true or false, not int 1"),
        (of('"model": "m"', '"job": "../../x"'), "job must be 8 to 64 hexadecimal digits"),
        (of('"model": "m"', '"seed": 1' + "0" * 400), "seed is 1000"),
    ],
)
def test_a_request_that_cannot_be_used_is_refused_with_its_key(text: str, found: str) -> None:
    with pytest.raises(AgentError, match=r".") as refused:
        parse_request(text)

    assert found in str(refused.value)
    assert refused.value.exit_code == 2


def test_threads_may_be_left_to_the_engine() -> None:
    assert parse_request(of('"model": "m", "threads": null')).cases[0].threads is None


def test_a_line_carries_the_protocol_and_has_no_line_break_within() -> None:
    line = event_line("error", {"kind": "device", "message": "one\ntwo"})

    assert line.count("\n") == 1
    assert json.loads(line)["protocol"] == 3


def test_a_figure_that_is_no_number_never_leaves_the_agent() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        event_line("result", {"p50": float("nan")})


def test_a_message_is_one_line() -> None:
    assert str(AgentError("device", "a\n  b")) == "a b"
