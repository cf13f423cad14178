"""A machine that is a folder, with energy counters, and an engine with a clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.agent.engine import Engine
from edgestill.deploy.agent.protocol import Case, Request

WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]
AddPackage: TypeAlias = Callable[..., Path]


@pytest.fixture
def write_files(tmp_path: Path) -> WriteFiles:
    """Writes files below a root folder, and gives the root."""

    def write(files: dict[str, str]) -> Path:
        root = tmp_path / "root"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return root

    return write


@pytest.fixture
def add_package(write_files: WriteFiles) -> AddPackage:
    """Adds a RAPL domain to the root folder, and gives the path of its counter."""

    def add(domain: str = "intel-rapl:0", name: str = "package-0", energy_uj: int = 0) -> Path:
        folder = f"sys/class/powercap/{domain}"
        root = write_files(
            {
                f"{folder}/name": f"{name}\n",
                f"{folder}/energy_uj": f"{energy_uj}\n",
                f"{folder}/max_energy_range_uj": "1000000\n",
            }
        )
        return root / folder / "energy_uj"

    return add


@dataclass
class Simulation(Engine):
    """An engine and a clock: every run takes `run_ns` and adds `run_uj` to `counter`, if any."""

    run_ns: int = 10_000_000
    run_uj: int = 0
    idle_uw: int = 0
    counter: Path | None = None
    now_ns: int = 1_000
    name: str = "simulated"
    version: str = "1.0"
    provider: str = "CPU"
    runs: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    on_run: Callable[[int], None] = lambda run: None
    closed: int = 0

    def open(self, case: Case, request: Request, root: Path) -> Simulation:
        return self

    def load(self) -> None:
        self.now_ns += 5_000_000

    def feed(self) -> None:
        self.now_ns += 7_000_000

    def run(self) -> None:
        self.runs += 1
        self.now_ns += self.run_ns
        self._use(self.run_uj)
        self.on_run(self.runs)

    def clock_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)
        self._use(round(self.idle_uw * seconds))

    def say(self, event: str, content: dict[str, Any]) -> None:
        self.said.append((event, content))

    def heard(self, event: str) -> list[dict[str, Any]]:
        return [content for told, content in self.said if told == event]

    def close(self) -> None:
        self.closed += 1

    def _use(self, microjoules: int) -> None:
        if self.counter is not None and microjoules:
            # As the real one: at max_energy_range_uj it starts again at nought.
            value = (int(self.counter.read_text()) + microjoules) % 1_000_000
            self.counter.write_text(f"{value}\n")


@pytest.fixture
def simulation() -> Simulation:
    return Simulation()
