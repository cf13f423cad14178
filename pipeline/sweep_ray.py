"""The runs of a sweep on a Ray cluster, several at once: `--ray ADDRESS`.

ADDRESS: `local` starts a cluster on this machine for the sweep, `auto` takes the one that runs
here or that RAY_ADDRESS names, else it is as for ray.init: `HOST:6379`, `ray://HOST:10001`.

The machines of a cluster share the work directory: a folder of the network, at the same path, that
passes locks on (`lock.py`). That is tested on each of them before anything runs. What goes to a
machine and comes back through Ray is text: a recipe, paths and an outcome, all JSON.
"""

from __future__ import annotations

import importlib.metadata
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models.errors import BadInput, need
from .lock import only_maker
from .sweep_child import Outcome, attempt
from .sweep_over import Planned

KNOCK_S = 10.0
PROBE_S = 120.0  # a machine that starts its first worker imports Ray and nothing heavy of ours


@dataclass(frozen=True, kw_only=True)
class Share:
    """What each run takes of a cluster."""

    cpus: float = 1.0
    """Also the threads of the run, where OMP_NUM_THREADS does not say otherwise."""
    gpus: float | None = None
    """None: 1 where the recipe may train on CUDA and the cluster has a GPU, else 0."""


@contextmanager
def cluster(address: str, workdir: Path, until: str, share: Share) -> Iterator[OnRay]:
    """Within the block, a place to try runs on the cluster; a local one ends with the block.

    Raises:
        MissingPackage: Ray is not installed.
        BadInput: the cluster cannot be reached, or a machine of it cannot work in `workdir`.
    """
    ray = need("ray", "ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of a local one: it would tell its maker
    local = address == "local"
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        _knock(address)
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level="ERROR",
            **({"include_dashboard": False} if local else {}),
        )
    except (OSError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())[:200]
        raise BadInput(
            f"--ray {address}: no cluster answers ({line});"
            " expected local, auto, HOST:6379 or ray://HOST:10001"
        ) from None
    try:
        for each, handler in handlers.items():  # Ray's own would end us without a word
            signal.signal(each, handler)
        for problem in _problems(ray, workdir):
            raise BadInput(f"--ray {address}: {problem}")
        with closing(OnRay(ray, workdir, until, share)) as tries:
            yield tries
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError where nobody listens; Ray itself tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()


class OnRay:
    """Tries as tasks of a cluster, each in a worker process of its own that ends with it."""

    def __init__(self, ray: Any, workdir: Path, until: str, share: Share) -> None:
        self._ray, self._workdir, self._until, self._share = ray, workdir, until, share
        # One process for one run: nothing of it is left in memory, on a GPU, or in a random state.
        # Ray itself tries nothing again: a process that is gone is told, and sweep.py decides.
        self._task = ray.remote(max_calls=1, max_retries=0)(attempt_at)
        self._under_way: dict[Any, Planned] = {}

    def start(self, run: Planned) -> None:
        gpus = self._gpus(run)
        self._refuse_what_never_fits(gpus)
        task = self._task.options(num_cpus=self._share.cpus, num_gpus=gpus, name=run.name)
        asked = task.remote(
            os.getcwd(), run.recipe.model_dump_json(), str(self._workdir), self._until
        )
        self._under_way[asked] = run

    def ended(self, timeout_s: float) -> list[tuple[Planned, Outcome]]:
        ready, _ = self._ray.wait(list(self._under_way), num_returns=1, timeout=timeout_s)
        return [(self._under_way.pop(each), self._outcome(each)) for each in ready]

    def close(self) -> None:
        """End what is under way; its checkpoints stand."""
        for each in self._under_way:
            self._ray.cancel(each, force=True)
        self._under_way.clear()

    def _outcome(self, reference: Any) -> Outcome:
        errors = self._ray.exceptions
        try:
            return Outcome.from_json(self._ray.get(reference))
        except (
            errors.RayTaskError
        ) as error:  # no error of a run comes this way: attempt tells those
            line = str(error).strip().splitlines()[-1]
            return Outcome(exit_code=70, error=f"its worker could not begin: {line}")
        except errors.RayError as error:
            kind = type(error).__name__
            return Outcome(exit_code=137, error=f"its worker was lost ({kind})", lost=True)

    def _gpus(self, run: Planned) -> float:
        if self._share.gpus is not None:
            return self._share.gpus
        return float(run.recipe.device != "cpu" and "GPU" in self._ray.cluster_resources())

    def _refuse_what_never_fits(self, gpus: float) -> None:
        wanted = {"CPU": self._share.cpus, "GPU": gpus}
        machines = [each["Resources"] for each in _machines(self._ray)]
        if not any(
            all(machine.get(kind, 0) >= amount for kind, amount in wanted.items())
            for machine in machines
        ):
            has = "; ".join(
                f"{each.get('CPU', 0):g} CPUs, {each.get('GPU', 0):g} GPUs" for each in machines
            )
            raise BadInput(
                f"no machine of the cluster has the {wanted['CPU']:g} CPUs and {gpus:g} GPUs of a"
                f" run; they have: {has}. See --cpus and --gpus"
            )


def attempt_at(folder: str, recipe_json: str, workdir: str, until: str) -> str:
    """`attempt` in a worker, from the folder that relative paths of the recipe are meant from."""
    os.chdir(folder)
    return attempt(recipe_json, workdir, until)


def probed(folder: str, workdir: str, file: str, text: str, version: str) -> str | None:
    """Why this machine cannot take part, as one line; None if it can.

    `file` of the work directory holds `text`, and the sweep holds the lock beside it.
    """
    from filelock import FileLock, Timeout

    try:
        found = importlib.metadata.version("edgestill")
    except importlib.metadata.PackageNotFoundError:
        return f"edgestill is not installed there; install {version} in Ray's environment"
    if found != version:
        return f"edgestill {found} is installed there, expected {version}"
    path = Path(workdir) / file
    if not Path(folder).is_dir():
        return f"the folder {folder} is not there, from which the recipe's paths are meant"
    if not path.is_file() or path.read_text() != text:
        return f"the work directory {workdir} is not there; give a shared folder with --workdir"
    try:
        with FileLock(f"{path}.lock", timeout=0):
            return f"locks in {workdir} do not reach it; give a folder that shares them (NFS 4)"
    except Timeout:
        return None


def _problems(ray: Any, workdir: Path) -> Iterator[str]:
    """One line for each machine of the cluster that cannot take part."""
    text = secrets.token_hex(16)
    path = workdir / f".shared-{text}"
    try:
        path.write_text(text)
        told = (os.getcwd(), str(workdir), path.name, text, importlib.metadata.version("edgestill"))
        with only_maker(Path(f"{path}.lock"), "the test of shared locks"):
            asked = {}
            for each in _machines(ray):
                there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                    each["NodeID"], soft=False
                )
                task = ray.remote(probed).options(
                    num_cpus=0, max_retries=0, scheduling_strategy=there
                )
                asked[task.remote(*told)] = each["NodeManagerHostname"]
            for reference, host in asked.items():
                try:
                    problem = ray.get(reference, timeout=PROBE_S)
                except ray.exceptions.RayError as error:
                    problem = str(error).strip().splitlines()[-1]
                if problem:
                    yield f"machine {host}: {problem}"
    finally:
        path.unlink(missing_ok=True)
        Path(f"{path}.lock").unlink(missing_ok=True)


def _machines(ray: Any) -> list[dict[str, Any]]:
    return [each for each in ray.nodes() if each["Alive"]]
