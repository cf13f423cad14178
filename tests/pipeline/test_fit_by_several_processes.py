"""Two processes train the network that one trains on the joined batches, and go on as one does.

This file is also the program of those processes; it leaves what each found in the folder given.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgestill.models.errors import BadInput
from edgestill.models.relation_graph import similarity_graph
from edgestill.pipeline.events import listening
from edgestill.pipeline.fit import EpochRecord, fit
from edgestill.pipeline.fit_state import digest
from edgestill.pipeline.processes import ONE, Processes, processes_of_this_run
from edgestill.pipeline.recipe import Training

CPU = torch.device("cpu")
BATCH, STEPS, EPOCHS = 8, 5, 3
# Large steps and clipped gradients: a gradient that is wrong by a factor ends elsewhere.
SETTINGS = Training(epochs=EPOCHS, lr=0.1, clip_norm=1.0, weight_decay=0.01)

Found = dict[str, Any]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    done = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env={**os.environ, **meeting, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_the_trained_network_is_that_of_one_process(found: list[Found]) -> None:
    for process in found:
        # float64: the rounding of 15 steps; in float32 training itself would enlarge it
        assert process["together"] == pytest.approx(found[0]["alone"], rel=0, abs=1e-10)


def test_the_epochs_are_those_of_one_process(found: list[Found]) -> None:
    alone, together = found[0]["alone history"], found[0]["together history"]

    assert len(alone) == EPOCHS
    for ours, theirs in zip(together, alone, strict=True):
        assert set(ours["terms"]) == {"cross_entropy", "graph"}
        assert ours["terms"] == pytest.approx(theirs["terms"], rel=1e-6)  # told in float32
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-6)
        assert ours["top1"] == pytest.approx(theirs["top1"], rel=1e-9)


def test_interrupted_within_an_epoch_they_end_with_the_same_bytes(found: list[Found]) -> None:
    assert found[0]["whole digest"] == found[1]["whole digest"]
    for process in found:
        assert process["said on resuming"] == ["net: continues after epoch 1"]
        assert process["resumed digest"] == found[0]["whole digest"]


def test_one_process_goes_on_where_two_were_interrupted(found: list[Found]) -> None:
    assert found[0]["said by one"] == ["net: continues after epoch 1"]
    assert found[0]["resumed by one"] == pytest.approx(found[0]["alone"], rel=0, abs=1e-10)


def test_only_the_first_process_writes_the_position(found: list[Found]) -> None:
    assert found[0]["files"] == ["0.state"]
    assert found[1]["files"] == []


def test_chance_within_the_network_differs_by_process_and_is_the_same_again(
    found: list[Found],
) -> None:
    first, second = (process["chance"] for process in found)

    assert len(first) == len(second) == EPOCHS * STEPS
    assert not set(first) & set(second)
    assert first == found[0]["chance again"]
    assert second == found[1]["chance again"]


def test_processes_that_do_not_see_one_position_are_refused_in_one_line(
    found: list[Found],
) -> None:
    for process in found:
        assert process["refused"].startswith(
            "the 2 processes would train from different weights or epochs; all must see the same"
        )
        assert "\n" not in process["refused"]


class Noise:
    """Steps of noise; of several processes, each gets its part. Stops where it is told to."""

    images = BATCH * STEPS

    def __init__(self, processes: Processes, stop_at: tuple[int, int] | None = None) -> None:
        self.processes, self.stop_at = processes, stop_at

    def __len__(self) -> int:
        return STEPS

    def epoch(self, epoch: int, /) -> Iterator[tuple[Tensor, Tensor]]:
        chance = torch.Generator().manual_seed(epoch)
        share = self.processes.share(BATCH)
        mine = slice(self.processes.rank * share, (self.processes.rank + 1) * share)
        for step in range(STEPS):
            if (epoch, step) == self.stop_at:
                raise KeyboardInterrupt
            images = torch.randn(BATCH, 3, 6, 6, dtype=torch.float64, generator=chance)
            # Far from each other's statistics: shards normalised each for itself would show.
            images += torch.linspace(-1, 1, BATCH)[:, None, None, None]
            yield images[mine], (torch.arange(BATCH) % 2)[mine]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
    ).double()


def trained(
    processes: Processes,
    state: Path,
    *,
    stop_at: tuple[int, int] | None = None,
    model: nn.Module | None = None,
    chance: list[float] | None = None,
) -> tuple[nn.Module, list[EpochRecord]]:
    model = model or network()

    def terms(images: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
        if chance is not None:
            chance.append(float(torch.rand(())))
        logits = processes.gather(model(images))
        joined = processes.gather(labels)
        graph = similarity_graph(logits.softmax(dim=1))  # of every pair, across the processes
        return {
            "cross_entropy": nn.functional.cross_entropy(logits, joined),
            "graph": (graph * (joined[:, None] != joined)).square().sum(),
        }

    history = fit(
        model,
        Noise(processes, stop_at),
        terms,
        SETTINGS,
        state=state,
        seed=3,
        device=CPU,
        label="net",
        evaluate=lambda net: float(net(torch.ones(2, 3, 6, 6, dtype=torch.float64)).sum()),
        processes=processes,
    )
    return model, history


def numbers(model: nn.Module) -> list[float]:
    """Weights and running statistics."""
    return torch.cat([each.double().reshape(-1) for each in model.state_dict().values()]).tolist()


@contextmanager
def noted() -> Iterator[list[str]]:
    """The notes of the block."""
    said: list[str] = []
    with listening(lambda kind, told: said.append(str(told["text"])) if kind == "note" else None):
        yield said


def main(folder: Path) -> None:
    with processes_of_this_run() as processes:
        processes.meet("cpu")
        left: Found = {}
        if processes.rank == 0:
            model, history = trained(ONE, folder / "alone")
            left |= {"alone": numbers(model), "alone history": history}

        chance: list[float] = []
        model, history = trained(processes, folder / f"{processes.rank}.state", chance=chance)
        left |= {"together": numbers(model), "together history": history}
        left |= {"whole digest": digest(model.state_dict(), json.dumps(history)), "chance": chance}
        left["files"] = [path.name for path in folder.glob(f"{processes.rank}.state")]

        state, again = folder / "interrupted", network()
        try:
            trained(processes, state, stop_at=(1, 3), model=again)
        except KeyboardInterrupt:
            processes.total(torch.zeros(1))  # both have stopped
            if processes.rank == 0:
                shutil.copy(state, folder / "by one")
        with noted() as left["said on resuming"]:
            model, history = trained(processes, state)
        left["resumed digest"] = digest(model.state_dict(), json.dumps(history))
        left |= unseen(processes, folder)

        chance = []
        trained(processes, folder / "again", chance=chance)
        left["chance again"] = chance
        if processes.rank == 0:
            with noted() as left["said by one"]:
                model, _ = trained(ONE, folder / "by one")
            left["resumed by one"] = numbers(model)
        (folder / f"{processes.rank}.json").write_text(json.dumps(left))
        processes.end(0)


def unseen(processes: Processes, folder: Path) -> Found:
    """One process has a position to go on from, the other has none."""
    try:
        trained(processes, folder / ("by one" if processes.rank == 0 else "nothing"))
    except BadInput as error:
        return {"refused": str(error)}
    return {"refused": ""}


if __name__ == "__main__":
    children = []
    for rank in "01":  # forks, so that torch is imported once
        child = os.fork()
        if child == 0:
            os.environ["RANK"] = rank
            main(Path(sys.argv[1]))
            sys.exit(0)
        children.append(child)
    sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
