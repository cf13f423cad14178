"""The store: artifacts by what made them. One is complete or absent; what is damaged is set aside.

store/<stage>/<key>/            an artifact, with its manifest.json
store/<stage>/<key>.work/       one being made; checkpoints live here and survive a kill
store/<stage>/<key>.damaged-1/  one that was found altered, kept for whoever wants to look
store/<stage>/<key>.lock        held by whoever looks for the artifact and makes it; empty
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from .events import JSON
from .lock import only_maker
from .manifest import (
    FILE,
    SCRATCH,
    Damaged,
    Manifest,
    digest,
    list_files,
    read_manifest,
    verify,
)

KEY_LENGTH = 16  # hex digits of the sha256: 64 bits, plenty for the runs of one folder


@dataclass(frozen=True)
class Artifact:
    """What one stage left: a folder and its verified manifest."""

    path: Path
    manifest: Manifest


def artifact_key(
    stage: str, version: int, settings: Mapping[str, JSON], inputs: Mapping[str, str]
) -> str:
    """The name of what `stage` makes of these settings and input contents."""
    told: dict[str, JSON] = {
        "stage": stage,
        "version": version,
        "settings": dict(settings),
        "inputs": dict(inputs),
    }
    return digest(told)[:KEY_LENGTH]


class Store:
    """Artifacts below `root`, a work directory's `store` folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def held(self, stage: str, key: str) -> AbstractContextManager[None]:
        """Within the block no other run looks for this artifact, makes it or sets it aside."""
        return only_maker(self._folder(stage, key).with_name(f"{key}.lock"), f"{stage} {key[:6]}")

    def find(self, stage: str, key: str) -> Artifact | None:
        """The verified artifact, None if absent; `Damaged` if it is not what was written."""
        folder = self._folder(stage, key)
        return Artifact(folder, verify(folder)) if folder.exists() else None

    def set_aside(self, stage: str, key: str) -> Path:
        """Rename a damaged artifact so that nothing takes it for whole; where it lies now."""
        folder = self._folder(stage, key)
        number = 1
        while (aside := folder.with_name(f"{key}.damaged-{number}")).exists():
            number += 1
        os.replace(folder, aside)
        return aside

    def work(self, stage: str, key: str) -> Path:
        """The folder in which the artifact is made; what an earlier try left in scratch stands."""
        folder = self._folder(stage, key).with_name(f"{key}.work")
        (folder / SCRATCH).mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():  # half-written results of a killed run are no results
            if path.name != SCRATCH:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return folder

    def publish(self, stage: str, key: str, facts: Mapping[str, JSON]) -> Artifact:
        """Make the work folder the artifact: files listed and synced, manifest last, one rename."""
        work = self._folder(stage, key).with_name(f"{key}.work")
        files = list_files(work)
        Manifest(stage=stage, key=key, files=files, **facts).write(work)  # type: ignore[arg-type]
        for name in (*files, FILE):
            _sync(work / name)
        folder = self._folder(stage, key)
        os.replace(work, folder)
        _sync(folder.parent)
        # Last: a run that is killed while it publishes must still find its checkpoint.
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
        return Artifact(folder, read_manifest(folder))

    def _folder(self, stage: str, key: str) -> Path:
        return self.root / stage / key


def last_manifest(folder: Path) -> Manifest | None:
    """The manifest in `folder` to compare with, None when there is none that can be read."""
    try:
        return read_manifest(folder)
    except Damaged:
        return None


def _sync(path: Path) -> None:
    """Ask the disk to hold what was written, so that a power cut cannot keep the name alone."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
