"""What a report shows beside the summary: histories, candidates, samples, graphs, check lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _plain(value: object) -> object:
    """Arrays and tensors as nested lists, so that a stage may hand in either."""
    return value.tolist() if hasattr(value, "tolist") else value


Matrix = Annotated[list[list[float]], BeforeValidator(_plain)]
Vector = Annotated[list[float], BeforeValidator(_plain)]


class Piece(BaseModel):
    """Settings that all pieces share; what a later stage adds to its JSON is no reason to fail."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Epoch(Piece):
    """One epoch as the training loop records it; `terms` are weighted, `top1` is validation."""

    epoch: int
    loss: float
    terms: dict[str, float] = {}
    top1: float | None = None
    lr: float | None = None


class Rung(Piece):
    """A candidate after some epochs of brief training; `error` is None where that diverged."""

    epochs: int
    error: float | None = None


class Candidate(Piece):
    """An architecture that the search weighed; `rungs` only of those that were tried."""

    spec: str
    macs: int
    params: int
    fits: bool
    chosen: bool = False
    why: str = ""
    rungs: Sequence[Rung] = ()
    dropped_after_epochs: int | None = None


class GraphBlock(Piece):
    """Similarity graphs of one batch at one block, (B, B) each."""

    name: str
    teacher: Matrix
    student: Matrix


class Graphs(Piece):
    """One batch as both networks see it: its labels, and a pair of graphs for each block."""

    labels: Annotated[list[int], BeforeValidator(_plain)]
    blocks: list[GraphBlock] = []


class StagePiece(Piece):
    """One stage's artifact. Whether this run made or reused it is known only where `status` is."""

    name: str
    key: str
    seconds: float
    status: str = ""


class CheckLine(Piece):
    """One line of the export contract."""

    name: str
    verdict: str
    found: Any = None
    expected: Any = None
    why: str = ""
    target: str = ""


class Island(Piece):
    """An operation that stays in float in an INT8 file."""

    name: str
    op: str = ""
    reason: str = ""


class FusionNotes(Piece):
    """How a target's runtime fuses its file; `source` says who counted."""

    int8: int
    total: int
    source: str = ""
    qdq_left: int | None = None
    float_islands: list[Island] = []


class LayerCost(Piece):
    """What one layer's 8 bits cost by themselves, before any fine-tuning."""

    layer: str
    divergence: float
    changed: float
    kept_float: bool = False


class FlagPiece(Piece):
    """A reason to doubt a target's figures; `files` is empty where it concerns all of them."""

    text: str
    remedy: str | None = None
    grave: bool = False
    files: list[str] = []


class VerdictPiece(Piece):
    """One file against another on the same target, in words."""

    subject: str
    baseline: str
    verdict: str


class PowerPiece(Piece):
    """Total power of a target while it was measured."""

    t_s: Vector
    mw: Vector


class PlacePiece(Piece):
    """A target: what it is, why its figures may be doubted, who is faster there, its power."""

    name: str
    suffix: str = ""
    """Of its files' names in the summary; empty for the first target."""
    facts: dict[str, str] = {}
    flags: list[FlagPiece] = []
    comparisons: list[VerdictPiece] = []
    power: PowerPiece | None = None
    idle_power_mw: float | None = None
    windows: dict[str, list[tuple[float, float]]] = {}
    """{file: (start, stop) of its timed windows, in seconds}."""


class Material(Piece):
    """Everything a report can show. What is empty is named as missing, with the reason."""

    histories: dict[str, list[Epoch]] = {}
    candidates: Sequence[Candidate] = ()
    candidates_weighed: int | None = None
    """How many the search looked at, where `candidates` holds only some."""
    latency_samples_ms: dict[str, Vector] = {}
    places: Sequence[PlacePiece] = ()
    """The targets of the profile stage."""
    graphs: Graphs | None = None
    check_lines: Sequence[CheckLine] = ()
    fusion: dict[str, FusionNotes] = {}
    layer_costs: Sequence[LayerCost] = ()
    """Dearest first; empty where the recipe did not ask for them."""
    stages: Sequence[StagePiece] = ()
    """Where empty, the summary's stages are shown."""
    energy_notes: Sequence[str] = ()
    environment: dict[str, str] = {}
