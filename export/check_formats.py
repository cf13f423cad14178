"""Reports of a check as text for machines: JSON here, the others in files of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from json import dumps

from .check_junit import junit
from .check_markdown import markdown
from .check_report import SCHEMA, CheckReport
from .check_sarif import sarif

__all__ = ["FORMATS", "json", "json_schema", "junit", "markdown", "sarif"]


def json(reports: Sequence[CheckReport]) -> str:
    """One JSON object as `json_schema` describes it.

    One report is `CheckReport.to_json`; several stand in a list, with `ok` over all of them.
    """
    told = [report.to_json() for report in reports]
    all_ok = all(report.ok for report in reports)
    content = told[0] if len(told) == 1 else {"schema": SCHEMA, "ok": all_ok, "reports": told}
    text = dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # Half a surrogate pair, from a file name that is not UTF-8, becomes a JSON escape.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def json_schema() -> str:
    """The JSON Schema (draft 2020-12) of what `json` writes, as text."""
    return files(__package__).joinpath("check.schema.json").read_text(encoding="utf-8")


FORMATS: Mapping[str, Callable[[Sequence[CheckReport]], str]] = {
    "json": json,
    "junit": junit,
    "sarif": sarif,
    "markdown": markdown,
}
"""Name of the format (as the command's option) -> the function that writes it."""
