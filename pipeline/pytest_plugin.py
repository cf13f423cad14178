"""A pytest plugin: every line of a check is a test, under the ONNX file that it is about.

    pytest --edgestill-contract c.toml                                 the contract's own model
    pytest --edgestill-contract c.toml models/a.onnx models/b.onnx     these, and no other tests
    pytest --edgestill-contract c.toml --edgestill-model m.onnx tests  this one beside other tests
    pytest --edgestill-contract c.toml models/a.onnx::finite           one line

Which lines a check has depends on the model, so it runs, once per model, while pytest collects:
`--collect-only` and `-k` take as long as the check. With pytest-xdist it runs once before the
workers start. Without one of the two options the plugin does nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# Every pytest in this environment loads this file: nothing of ours is imported until it is asked.
if TYPE_CHECKING:
    from ..export.check_outcome import Outcome
    from ..export.check_report import CheckReport, Line

REPORTS = "edgestill_reports"
"""Key of what pytest-xdist's workers are given."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("edgestill", "checks of ONNX models")
    group.addoption(
        "--edgestill-contract",
        action="append",
        default=[],
        metavar="FILE",
        help="Hold ONNX models to this contract, a test per line of the check. Repeatable, where"
        " each contract names its own model.",
    )
    group.addoption(
        "--edgestill-model",
        action="append",
        default=[],
        metavar="FILE",
        help="The ONNX model, instead of the contract's own; repeatable.",
    )


def pytest_configure(config: pytest.Config) -> None:
    contracts, models = config.option.edgestill_contract, config.option.edgestill_model
    if contracts or models:
        config.pluginmanager.register(ContractPlugin(config, contracts, models), "edgestill-checks")


class ContractPlugin:
    """The models to check with their contracts, and the reports once they are made."""

    def __init__(self, config: pytest.Config, contracts: list[str], models: list[str]) -> None:
        """Adds the models to what pytest collects. `pytest.UsageError` if that is not clear."""
        here = config.invocation_params.dir
        named = [here / arg.split("::")[0] for arg in config.args]
        asked = [path for path in named if path.suffix == ".onnx"] + [here / m for m in models]
        self.contracts = models_with_contracts([_shown(here / path) for path in contracts], asked)
        """Absolute path of a model -> its contract; None for the default contract."""
        self.reports: dict[Path, CheckReport] = {}
        config.args.extend(str(model) for model in self.contracts if model not in named)
        if told := getattr(config, "workerinput", {}).get(REPORTS):
            self._hear(told)

    def pytest_report_header(self) -> str:
        models = ", ".join(str(_shown(model)) for model in self.contracts)
        return f"edgestill: {models}"

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Before collection, where what cannot be used ends the session with exit code 4."""
        self._check()

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> ModelFile | None:
        if file_path not in self.contracts:
            return None
        return ModelFile.from_parent(parent, path=file_path, checks=self)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """pytest-xdist starts a worker: it gets the reports, made here once for all workers."""
        self._check()
        told = {str(model): report.to_json() for model, report in self.reports.items()}
        node.workerinput[REPORTS] = json.dumps(told)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if isinstance(item, LineItem) and report.skipped and isinstance(report.longrepr, tuple):
            # pytest names the place that skipped; the reader wants the model.
            report.longrepr = (str(_shown(item.path)), 1, report.longrepr[2])
        return report

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for model, report in self.reports.items():
            terminalreporter.write_line(f"edgestill: {_shown(model)} {report.verdict}")

    def _check(self) -> None:
        """Makes the reports, unless they are made. `pytest.UsageError`: they cannot be made."""
        from ..models.errors import EdgestillError
        from .check_command import Given, check_reports

        for contract in dict.fromkeys(self.contracts.values()):
            models = [m for m, each in self.contracts.items() if each == contract]
            shown = tuple(map(_shown, models))
            if self.reports.keys() >= set(models):
                continue
            try:
                reports = check_reports(Given(models=shown, contract=contract))
            except EdgestillError as error:
                raise _usage_error(error) from None
            self.reports |= zip(models, reports, strict=True)

    def _hear(self, told: str) -> None:
        from ..export.check_report import CheckReport

        for model, report in json.loads(told).items():
            self.reports[Path(model)] = CheckReport.from_json(report)


class ModelFile(pytest.File):
    """An ONNX file; its tests are the lines of its check."""

    def __init__(self, *, checks: ContractPlugin, **given: Any) -> None:
        super().__init__(**given)
        self.checks = checks

    def collect(self) -> Iterator[LineItem]:
        from ..export.check_outcome import outcomes

        for line, counts in outcomes(self.checks.reports[self.path]):
            yield LineItem.from_parent(self, name=line.name, line=line, counts=counts)


class LineItem(pytest.Item):
    """A line of a check; one that says nothing either way, and may, is skipped."""

    def __init__(self, *, line: Line, counts: Outcome, **given: Any) -> None:
        super().__init__(**given)
        self.line, self.counts = line, counts
        self.user_properties += [(name, str(value)) for name, value in line.figures.items()]

    def runtest(self) -> None:
        from ..export.check_outcome import message

        if self.counts == "open":
            pytest.skip(_harmless(f"{self.line.name} {message(self.line)}"))
        if self.counts != "pass":
            raise LineFailed(_harmless(message(self.line)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, LineFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"{_shown(self.path)}: {self.line.name}"


class LineFailed(Exception):
    """A line does not hold; the message is all there is to say."""


def models_with_contracts(contracts: list[Path], asked: list[Path]) -> dict[Path, Path | None]:
    """Each model with its contract. `pytest.UsageError` if one has none, or more than one."""
    if asked and len(contracts) > 1:
        raise pytest.UsageError(
            "edgestill: several contracts and a model; give one contract, or let each name its own"
        )
    own = [_own(contract, needed=not asked) for contract in contracts]
    pairs = [(model, contracts[0] if contracts else None) for model in dict.fromkeys(asked)]
    found: dict[Path, Path | None] = {}
    for path, contract in pairs or zip(own, contracts, strict=True):
        model, shown = Path(os.path.abspath(path)), _shown(path)
        if not model.is_file():
            raise pytest.UsageError(f"edgestill: {shown}: no such file; expected an ONNX model")
        if "[" in str(model) or "::" in str(model):
            raise pytest.UsageError(f"edgestill: {shown}: pytest takes no path with [ or :: in it")
        if model in found:
            raise pytest.UsageError(f"edgestill: {shown} is the model of two contracts; drop one")
        found[model] = contract
    return found


def _own(path: Path, *, needed: bool) -> Path:
    """The model that the contract names; an empty path if none and none is `needed`."""
    from ..export.contract_file import contract_from_toml
    from ..models.errors import BadInput

    try:
        model = contract_from_toml(path).model
    except BadInput as error:
        raise _usage_error(error) from None
    if model is None and needed:
        raise pytest.UsageError(
            f"edgestill: {path}: no key model in [check]; name it there, or give"
            " an ONNX file in the command or with --edgestill-model"
        )
    return Path(model or "")


def _usage_error(error: Exception) -> pytest.UsageError:
    return pytest.UsageError(_harmless(f"edgestill: {' '.join(str(error).split())}"))


def _harmless(text: str) -> str:
    """One line, in which a name from a model is no command to a terminal or to GitHub Actions."""
    from ..models.plain_text import printable, without_commands

    return without_commands(printable(text), os.environ)


def _shown(path: Path) -> Path:
    """The path as it is shortest to read here."""
    return Path(os.path.relpath(path))
