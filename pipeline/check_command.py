"""`edgestill check`: ONNX files against a contract, and the contract of a known-good one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .console import shown
from .events import emit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..export.arm64 import Arm64
    from ..export.check_child import CheckWorker
    from ..export.check_limits import Limits
    from ..export.check_report import CheckReport
    from ..export.contract import Contract

RECORD = ".npz"
INIT_SUFFIX = ".contract.toml"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the command was given, as text and paths."""

    models: tuple[Path, ...]
    contract: Path | None = None
    reference: Path | None = None
    target: str | None = None
    data: str | None = None
    sizes: tuple[str, ...] = ()
    emulate: str | None = None
    threads: int = 1
    memory: str | None = None
    timeout_s: float | None = None


def check_command(given: Given, files: Mapping[str, Path | None]) -> int:
    """Check, print the verdicts, write the reports asked for; 1 if a line fails."""
    from ..export.check_formats import FORMATS
    from ..export.check_github import annotate, no_commands
    from .table import check_table

    reports = check_reports(given)
    for kind, path in files.items():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(FORMATS[kind](reports), encoding="utf-8")
    with no_commands(os.environ, sys.stdout):
        for report in reports:
            check_table(report)
    annotate(reports, os.environ, sys.stdout)
    return 0 if all(report.ok for report in reports) else 1


def check_reports(given: Given) -> list[CheckReport]:
    """The reports on all models given, or on the contract's one."""
    contract = _contract(given)
    models = given.models or ((Path(contract.model),) if contract.model else ())
    if not models:
        raise BadInput("no model was given; name an ONNX file, or a contract with a key model")
    with _checking(given) as checking:
        return [checking.report(model, contract) for model in models]


def init_command(given: Given, files: Mapping[str, Path | None]) -> int:
    """Write the contract of the one model given; never over a file that is there."""
    from ..export.check_init import contract_text, measuring
    from ..export.check_reference import file_sha256
    from ..export.contract import Contract

    if len(given.models) != 1:
        raise BadInput("--init takes one model, the one that is known to be good")
    if unused := next((name for name, path in files.items() if path is not None), None):
        raise BadInput(f"--{unused} has no meaning with --init: it writes a contract, no verdicts")
    (model,) = given.models
    path = given.contract or model.with_suffix(INIT_SUFFIX)
    if path.exists():
        raise BadInput(f"{path} exists; it is left as it is. Give another file with --contract")
    own_reference = given.reference is None
    contract = measuring(_changed(Contract(), given, reference=str(given.reference or model)))
    with _checking(given) as checking:
        report = checking.report(model, contract)
    named = {"model": model, "reference": given.reference or model}
    paths = {name: _from(path.parent, each) for name, each in named.items()}
    paths["reference_sha256"] = file_sha256(named["reference"])
    if given.data is not None:
        record = given.data.endswith(RECORD)
        paths["data"] = _from(path.parent, Path(given.data)) if record else given.data
    text = contract_text(report, own_reference=own_reference, paths=paths)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if own_reference:
        print(
            f"{model} is its own reference: keep this very file, and check others against the"
            " contract by name; give --reference for limits that were measured"
        )
    print(f"wrote {path}; look it over, then: edgestill check MODEL --contract {path}")
    return 0


@dataclass(frozen=True)
class Checking:
    """Checks of files in child processes, one after another."""

    given: Given
    worker: CheckWorker
    limits: Limits
    arm64: Arm64 | None

    def report(self, model: Path, contract: Contract) -> CheckReport:
        samples, labels = self._material(model, contract)
        reference = Path(contract.reference) if contract.reference else None
        done: list[str] = []

        def begun(name: str) -> None:
            emit("progress", label=model.name, done=len(done), total=None, unit=name)
            done.append(name)

        return self.worker.check(
            model,
            contract=contract,
            target=contract.target,
            reference=reference,
            samples=samples,
            labels=labels,
            threads=self.given.threads,
            arm64=self.arm64,
            limits=self.limits,
            begun=begun,
        )

    def _material(
        self, model: Path, contract: Contract
    ) -> tuple[Mapping[str, NDArray[Any]] | None, NDArray[Any] | None]:
        """The samples and labels that `contract.data` names."""
        from ..export.recorded import read_recorded
        from .check_data import facts_contract, images_for

        if contract.data is None:
            return None, None
        if contract.data.endswith(RECORD):
            recorded = read_recorded(Path(contract.data))
            return recorded.inputs, recorded.labels
        # The model is looked at where it can do no harm, for what its images must be.
        looked = self.worker.check(model, contract=facts_contract(contract), limits=self.limits)
        return images_for(contract.data, looked.facts)


@contextmanager
def _checking(given: Given) -> Iterator[Checking]:
    from ..export.check_child import CheckWorker
    from ..export.check_limits import Limits
    from .emulating import emulated

    limits = Limits(memory_bytes=_bytes(given.memory), timeout_s=given.timeout_s)
    with shown(), redirect_stdout(sys.stderr):  # a user's own data may print
        arm64 = emulated(given.emulate) if given.emulate else None
        with CheckWorker() as worker:
            yield Checking(given, worker, limits, arm64)


def _contract(given: Given) -> Contract:
    from ..export.contract import Contract
    from ..export.contract_file import contract_from_toml

    contract = contract_from_toml(given.contract) if given.contract else Contract()
    reference = None if given.reference is None else str(given.reference)
    return _changed(contract, given, reference=reference)


def _changed(contract: Contract, given: Given, *, reference: str | None) -> Contract:
    """`contract` with what the command says otherwise."""
    from ..export.targets import TARGETS

    if given.target is not None and given.target not in TARGETS:
        raise BadInput(f"--target {given.target}: expected one of {', '.join(TARGETS)}")
    said = {"reference": reference, "target": given.target, "data": given.data}
    changes: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    if given.sizes:
        changes["sizes"] = {**contract.sizes, **dict(map(_size, given.sizes))}
    return contract.model_copy(update=changes)


def _size(text: str) -> tuple[str, int]:
    axis, _, size = text.partition("=")
    if not axis or not size.isdecimal() or int(size) < 1:
        raise BadInput(f"--size {text}: expected AXIS=N, as --size height=224")
    return axis, int(size)


def _bytes(text: str | None) -> int | None:
    from ..models.budget import parse_quantity

    if text is None:
        return None
    try:
        return parse_quantity(text)
    except ValueError as error:
        raise BadInput(f"--memory {text}: {error}") from error


def _from(folder: Path, path: Path) -> str:
    """`path` as it is to stand in a contract in `folder`."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
