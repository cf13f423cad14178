"""The manifest: what an artifact is made of, sealed, so that any later change to it shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .events import JSON

FILE = "manifest.json"
SCRATCH = "scratch"  # a stage's checkpoints; never part of the artifact
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that is known of one artifact; written last, as `manifest.json`."""

    stage: str
    version: int
    """The stage's own version: it rises when the same inputs would give something else."""
    key: str
    settings: dict[str, JSON]
    """The recipe's parts that the stage reads, by dotted name."""
    inputs: dict[str, str]
    """Content hashes of what went in, by name."""
    files: dict[str, dict[str, JSON]]
    """Every file's `sha256` and `bytes`, by its path within the artifact."""
    metrics: dict[str, JSON]
    environment: dict[str, JSON]
    """Versions and host; told, and no part of the key."""
    seconds: float
    finished: str
    """UTC, ISO 8601."""

    @property
    def content(self) -> str:
        """Hash of files and metrics: two runs that made the same are the same input."""
        files: JSON = {name: file["sha256"] for name, file in self.files.items()}
        return digest({"files": files, "metrics": self.metrics})

    def write(self, folder: Path) -> None:
        """Write it, sealed with the hash of everything it says."""
        body: dict[str, JSON] = {"schema": SCHEMA, **asdict(self)}
        text = json.dumps({**body, "seal": digest(body)}, indent=2, sort_keys=True, allow_nan=False)
        (folder / FILE).write_text(text + "\n")


class Damaged(Exception):
    """An artifact is not what its manifest says; the message names the file and the fault."""


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the artifact in `folder`; `Damaged` if absent, unreadable or altered."""
    try:
        body = json.loads((folder / FILE).read_bytes())
        seal = body.pop("seal")
        if body.pop("schema") != SCHEMA:
            raise Damaged(f"{FILE}: written by another version of edgestill")
        manifest = Manifest(**body)
        if digest({"schema": SCHEMA, **body}) != seal:
            raise Damaged(f"{FILE}: altered after it was written")
    except FileNotFoundError:
        raise Damaged(f"{FILE}: missing") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged(f"{FILE}: not a manifest") from None
    return manifest


def verify(folder: Path) -> Manifest:
    """The manifest, after every file it lists was read and found the same; else `Damaged`."""
    manifest = read_manifest(folder)
    for name, told in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise Damaged(f"{name}: missing")
        size = path.stat().st_size
        if size != told["bytes"]:
            raise Damaged(f"{name}: {size:,} bytes, not {told['bytes']:,}")
        if sha256_of(path) != told["sha256"]:
            raise Damaged(f"{name}: not the bytes that were written (sha256 differs)")
    strangers = names_below(folder) - manifest.files.keys() - {FILE}
    if strangers:
        raise Damaged(f"{min(strangers)}: no file of this artifact")
    return manifest


def list_files(folder: Path) -> dict[str, dict[str, JSON]]:
    """`sha256` and `bytes` of every file below `folder`, scratch apart, sorted by path."""
    return {
        name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size}
        for name in sorted(names_below(folder))
    }


def names_below(folder: Path) -> set[str]:
    """Paths of the files below `folder`, without those in its scratch."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != SCRATCH
    }


def sha256_of(path: Path) -> str:
    """A file's sha256, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Mapping[str, JSON]) -> str:
    """sha256 of the canonical JSON of `value`.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
