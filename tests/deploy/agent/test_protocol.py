"""A request is taken as meant or refused with its key; a line out is JSON that all can read."""

from __future__ import annotations

import json

import pytest

from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.protocol import Request, event_line, parse_request, request_line


def test_a_request_comes_through_unchanged() -> None:
    request = Request(model="a b.onnx", batch=4, threads=2, seconds=0.25, seed=7)

    line = request_line(request)

    assert line.endswith("\n")
    assert parse_request(line) == request


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "names no model"),
        ('{"model": 3}', "model must be text"),
        ('{"model": ""}', "model must be text"),
        ('{"model": "m", "bacth": 1}', "unknown key 'bacth'; known: model, engine"),
        ('{"model": "m", "batch": 0}', "batch is 0; allowed: 1 to 65536"),
        ('{"model": "m", "batch": true}', "batch must be a whole number, not bool True"),
        ('{"model": "m", "batch": 1.0}', "batch must be a whole number"),
        ('{"model": "m", "batch": null}', "batch must be a whole number, not null"),
        ('{"model": "m", "seconds": "2"}', "seconds must be a number, not str"),
        ('{"model": "m", "seconds": NaN}', "seconds is nan"),
        ('{"model": "m", "seconds": Infinity}', "seconds is inf"),
        ('{"model": "m", "seed": 1' + "0" * 400 + "}", "seed is 1000"),
    ],
)
def test_a_request_that_cannot_be_used_is_refused_with_its_key(text: str, found: str) -> None:
    with pytest.raises(AgentError, match=r".") as refused:
        parse_request(text)

    assert found in str(refused.value)
    assert refused.value.exit_code == 2


def test_threads_may_be_left_to_the_engine() -> None:
    assert parse_request('{"model": "m", "threads": null}').threads is None


def test_a_line_carries_the_protocol_and_has_no_line_break_within() -> None:
    line = event_line("error", {"kind": "device", "message": "one\ntwo"})

    assert line.count("\n") == 1
    assert json.loads(line)["protocol"] == 1


def test_a_figure_that_is_no_number_never_leaves_the_agent() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        event_line("result", {"p50": float("nan")})


def test_a_message_is_one_line() -> None:
    assert str(AgentError("device", "a\n  b")) == "a b"
