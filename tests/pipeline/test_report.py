"""The page and the Markdown: answer first, every n there, self-contained, the same bytes again."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from edgestill.pipeline.material import Candidate, Material
from edgestill.pipeline.report import render, shown_candidates
from edgestill.pipeline.summary import Summary

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """The text of a page, its tags and ids; fails on a tag that is closed in the wrong place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data.replace("\u00a0", " ").split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def rendered(
    summary: Summary, material: Material, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    return render(summary, material, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(rendered: tuple[Path, Path]) -> str:
    return rendered[0].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def markdown(rendered: tuple[Path, Path]) -> str:
    return rendered[1].read_text(encoding="utf-8")


def test_the_answer_stands_before_the_table_and_the_table_before_the_figures(page: str) -> None:
    text = Page(page).text

    places = [
        text.index(each)
        for each in (
            "keeps 98.0 % of the teacher's accuracy",
            "6.0\u00d7 faster",
            "INT8 fused",
            "Accuracy against MACs",
            "Export checks",
            "Candidates",
            "Stages",
            "Environment",
        )
    ]
    assert places == sorted(places)


def test_all_four_figures_are_in_the_page(page: str) -> None:
    assert Page(page).tags.count("svg") == 4


def test_the_page_loads_nothing_and_runs_nothing(page: str) -> None:
    assert not {"script", "link", "iframe", "img", "object"} & set(Page(page).tags)
    addresses = re.findall(r'(?:src|href)="([^"]*)"|url\(([^)]*)\)', page)
    assert {(first or second)[:1] for first, second in addresses} <= {"#", "d"}
    assert set(re.findall(r"https?://[^\"'< ]*", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_no_id_stands_twice(page: str) -> None:
    ids = Page(page).ids

    assert len(ids) == len(set(ids))


def test_both_themes_a_phone_and_paper_are_thought_of(page: str) -> None:
    for rule in ("prefers-color-scheme: dark", "max-width: 700px", "@media print", "viewport"):
        assert rule in page


def test_what_was_measured_carries_machine_and_n(page: str, markdown: str) -> None:
    for text in (Page(page).text, markdown):
        assert "n = 360 held-out images on Test CPU, 2 cores" in text
        assert "Test CPU, 2 cores, onnxruntime, batch 1, 1 thread; teacher n = 300" in text


def test_what_was_not_measured_says_so_with_the_reason(page: str, markdown: str) -> None:
    for text in (Page(page).text, markdown):
        assert "Not measured: needs an NVIDIA device." in text
        assert "Not measured: no readable counter." in text


def test_energy_and_estimates_are_labelled(
    summary_json: dict[str, Any], material: Material, tmp_path: Path
) -> None:
    summary_json["energy_mj"]["ort-x86"] = 0.42
    summary_json["energy_source"]["ort-x86"] = "RAPL package-0"
    summary_json["estimated"] = {"latency_ms": {"orin-nano@15W": 1.9}}

    for path in render(Summary.model_validate(summary_json), material, tmp_path):
        text = path.read_text(encoding="utf-8")
        text = Page(text).text if path.suffix == ".html" else text
        assert "INT8 ort-x86: RAPL package-0; n = 300 on Test CPU, 2 cores" in text
        assert "Estimated, not measured: latency_ms orin-nano@15W 1.90 ms" in text


def test_a_limit_that_is_only_predicted_is_unknown_and_says_what_is_predicted(
    summary_json: dict[str, Any], material: Material, tmp_path: Path
) -> None:
    why = "the run did not profile on orin-nano@15W; 1.9 ms, x/÷ 1.6, estimated"
    summary_json["budget"]["latency_ms"] = {"limit": 2.0, "value": None, "met": None}
    summary_json["not_measured"]["budget.latency_ms"] = why

    for path in render(Summary.model_validate(summary_json), material, tmp_path):
        text = path.read_text(encoding="utf-8")
        text = Page(text).text if path.suffix == ".html" else text
        assert why in text
        assert "1 of 2 limits met; not measured: latency_ms" in text


def test_a_failed_check_is_told_at_the_head(page: str, markdown: str) -> None:
    text = Page(page).text

    assert "1 of 2 export checks failed" in text[: text.index("Results")]
    assert "top1_drop (ort-x86), found 0.0139" in markdown[: markdown.index("## Results")]


def test_islands_candidates_and_stages_are_listed(page: str, markdown: str) -> None:
    for text in (Page(page).text, markdown):
        for each in ("/head/Gemm", "WRN-22 (8, 16, 24)", "does not fit", "12.3", "9f31c2a8d0e1"):
            assert each in text


def test_each_layers_cost_in_8_bits_and_what_became_of_it_are_told(
    page: str, markdown: str
) -> None:
    assert "| stage1.conv | 0.25 | 3.10 % | float |" in markdown
    assert "| head.linear | 0.0012 | 0.00 % | INT8 |" in markdown
    assert "3.10 %" in page and "stage1.conv" in page


def test_a_run_of_which_nothing_is_known_still_makes_a_page(tmp_path: Path) -> None:
    html, markdown = render(Summary(recipe="empty"), Material(), tmp_path)

    text = Page(html.read_text(encoding="utf-8")).text
    assert "svg" not in Page(html.read_text(encoding="utf-8")).tags
    assert text.count("Not measured:") >= 5
    assert not re.search(r"\b(None|nan|undefined)\b", text.replace("None: the student", ""))
    assert "| teacher | not measured [1] |" in markdown.read_text(encoding="utf-8")


def test_names_from_outside_are_text_and_never_markup(
    summary: Summary, material: Material, tmp_path: Path
) -> None:
    hostile = "<script>alert(1)</script>|x"
    html, markdown = render(
        summary.model_copy(update={"recipe": hostile}),
        material.model_copy(update={"environment": {hostile: hostile}}),
        tmp_path,
    )

    assert "script" not in Page(html.read_text(encoding="utf-8")).tags
    assert "<script" not in markdown.read_text(encoding="utf-8")
    assert "\\|x" in markdown.read_text(encoding="utf-8")


def test_every_markdown_table_has_rows_of_one_width(markdown: str) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", markdown, flags=re.MULTILINE)

    assert len(tables) == 6
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_another_process_writes_the_same_bytes(
    summary: Summary, material: Material, rendered: tuple[Path, Path], tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "summary.json").write_text(summary.model_dump_json())
    (tmp_path / "material.json").write_text(material.model_dump_json())
    program = (
        "import sys; from pathlib import Path; from edgestill.pipeline.report import *;"
        "from edgestill.pipeline.summary import Summary; root = Path(sys.argv[1]);"
        "render(Summary.model_validate_json((root / 'summary.json').read_text()),"
        " Material.model_validate_json((root / 'material.json').read_text()), root / 'there')"
    )

    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)

    for here in rendered:
        assert here.read_bytes() == (there / here.name).read_bytes()


def test_the_chosen_candidate_is_always_among_those_shown() -> None:
    many = [
        Candidate(spec=f"WRN {macs}", macs=macs, params=1, fits=macs <= 50, chosen=macs == 50)
        for macs in range(1, 100)
    ]

    shown = shown_candidates(many)

    assert sum(candidate.chosen for candidate in shown) == 1
    assert {candidate.fits for candidate in shown} == {True, False}
    assert len(shown) < len(many)
