"""Annotations and summaries, read as the runner of GitHub Actions reads them."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest

from edgestill.export.check_github import SUMMARY_BYTES, annotate, no_commands
from edgestill.export.check_report import CheckReport, Line

from .reports import NASTY, PASSED, SKIPPED, of_every_verdict, report

ON_GITHUB = {"GITHUB_ACTIONS": "true"}


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """(kind, properties, message) of each line, by the runner's rules; every line must be one."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line)
        assert match, line
        kind, listed, says = match.groups()
        pairs = (each.split("=", 1) for each in listed.split(","))
        found.append((kind, {name: unescaped(value) for name, value in pairs}, unescaped(says)))
    return found


def unescaped(text: str) -> str:
    for code, character in (("0D", "\r"), ("0A", "\n"), ("3A", ":"), ("2C", ","), ("25", "%")):
        text = text.replace(f"%{code}", character)
    return text


def annotated(*reports: CheckReport, **environ: str) -> str:
    stream = io.StringIO()
    annotate(reports, ON_GITHUB | environ, stream)
    return stream.getvalue()


def failing(count: int, name: str = "line") -> list[Line]:
    return [Line(name=f"{name}{n}", verdict="fail", found="1", expected="2") for n in range(count)]


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": "false"}, {"CI": "true"}], ids=str)
def test_elsewhere_nothing_is_written(environ: dict[str, str]) -> None:
    stream = io.StringIO()

    annotate([of_every_verdict()], environ, stream)

    assert stream.getvalue() == ""


def test_what_fails_is_an_error_and_what_is_open_is_not() -> None:
    found = commands(annotated(of_every_verdict()))

    assert [(kind, properties["title"]) for kind, properties, _ in found] == [
        ("error", "edgestill check bad"),
        ("error", "edgestill check broken"),
        ("warning", "edgestill check latency"),
        ("notice", "edgestill check"),
    ]
    *_, (_, properties, says) = found
    assert properties["file"] == "out dir/models|1/ü#model.onnx"
    assert says == "ü#model.onnx: not checked: top1_drop"


def test_a_check_that_passes_is_silent() -> None:
    assert annotated(report(PASSED)) == ""


def test_a_check_that_failed_has_an_error_also_where_no_line_failed() -> None:
    ((kind, properties, _),) = commands(annotated(report(SKIPPED, required=("top1_drop",))))

    assert (kind, properties["title"]) == ("error", "edgestill check top1_drop")


def test_names_cannot_end_a_command_or_begin_another() -> None:
    evil = "100%\r\n::set-output name=ok::true\n,title=x:y%0A"
    line = Line(name="operators", verdict="fail", found=evil, why=NASTY)

    ((kind, properties, says),) = commands(annotated(report(line, model="a,b:c=%0A\n.onnx")))

    assert kind == "error"
    assert properties == {"file": "a,b:c=%0A\n.onnx", "title": "edgestill check operators"}
    assert "100% ::set-output name=ok::true ,title=x:y%0A" in says


def test_ten_of_a_kind_are_shown_and_the_rest_is_counted() -> None:
    many = [Line(name=f"slow{n}", verdict="undecided", found="1") for n in range(11)]

    found = commands(annotated(report(PASSED, *failing(8)), report(*failing(5), *many)))

    kinds = [kind for kind, *_ in found]
    assert (kinds.count("error"), kinds.count("warning"), kinds.count("notice")) == (10, 10, 1)
    assert found[-1][2].startswith("3 more errors and 1 more warnings: ")


def test_files_are_named_from_the_checked_out_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / "ci").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "ci")
    models = ["m.onnx", str(tmp_path / "work" / "m.onnx"), str(tmp_path / "out.onnx")]

    found = commands(
        annotated(
            *(report(*failing(1), model=model) for model in models),
            GITHUB_WORKSPACE=str(tmp_path / "work"),
        )
    )

    files = [properties["file"] for _, properties, _ in found]
    assert files == ["ci/m.onnx", "m.onnx", str(tmp_path / "out.onnx")]


def test_a_message_stays_within_what_the_runner_keeps() -> None:
    line = Line(name="operators", verdict="fail", found="x" * 5000)

    ((_, _, says),) = commands(annotated(report(line)))

    assert len(says) == 4096
    assert says.endswith("x...")


def test_the_summary_is_added_to_what_earlier_commands_wrote(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# before\n")

    for _ in range(2):
        annotated(of_every_verdict(), GITHUB_STEP_SUMMARY=str(summary))

    text = summary.read_text()
    assert text.startswith("# before\n")
    assert text.count("## edgestill check `ü#model.onnx`") == 2


def test_a_summary_that_is_too_large_is_shortened_step_by_step(tmp_path: Path) -> None:
    long = Line(name="passes", verdict="pass", found="y" * 2000)
    reports = [report(long, *failing(1), model=f"{n}.onnx") for n in range(300)]

    def written(before: int) -> str:
        summary = tmp_path / "summary.md"
        summary.write_bytes(b"-" * before)
        annotated(*reports, GITHUB_STEP_SUMMARY=str(summary))
        assert summary.stat().st_size <= SUMMARY_BYTES
        return summary.read_text()[before:]

    assert "y" * 2000 in written(0)
    failures = written(SUMMARY_BYTES - 200_000)
    assert "| line0 | **FAIL** |" in failures
    assert "| passes |" not in failures
    listed = written(SUMMARY_BYTES - 30_000)
    assert "- `299.onnx`: failed: 1 pass, 1 fail" in listed
    assert written(SUMMARY_BYTES - 100).startswith("edgestill check: 0 of 300 models")
    assert written(SUMMARY_BYTES) == ""


def test_a_summary_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    says = annotated(report(PASSED), GITHUB_STEP_SUMMARY=str(tmp_path))

    ((kind, _, message),) = commands(says)
    assert (kind, message) == ("warning", "the job summary was not written: Is a directory")


def test_text_is_printed_with_commands_switched_off() -> None:
    stream = io.StringIO()

    with no_commands(ON_GITHUB, stream):
        print("##[set-output name=ok;]true", file=stream)

    first, text, last = stream.getvalue().splitlines()
    token = first.removeprefix("::stop-commands::")
    assert re.fullmatch("[0-9a-f]{32}", token)
    assert (text, last) == ("##[set-output name=ok;]true", f"::{token}::")


def test_elsewhere_text_is_printed_alone() -> None:
    stream = io.StringIO()

    with no_commands({}, stream):
        print("text", file=stream)

    assert stream.getvalue() == f"text{os.linesep}"
