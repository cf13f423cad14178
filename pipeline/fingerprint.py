"""What the data are, as one hash over every file the source reads, without any heavy package."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ..models.errors import BadInput
from .events import emit
from .recipe import DataSettings
from .sources import open_source

TESTS = ("test", "val")
FOLDERS = ("parquet", "imagefolder")  # what follows the colon says where, not what

RACY_NS = 2_000_000_000
"""A file changed this shortly before it was hashed may change again within one tick of its
timestamp, unseen; git calls such entries racy. They are hashed again next time."""


def fingerprint(
    settings: DataSettings, base: Path, cache: Path | None, *, split: str | None = None
) -> str:
    """sha256 in hex over the names and bytes of all files, and `settings.version`.

    `split` "train" leaves out the files that only the test split reads, where folders or file names
    tell them apart; "test" takes only those; None takes all.

    Where the files lie does not count. For module:function it is the module's own file that is
    hashed; what the function reads is unknown, which is what `data.version` is for. With `cache`
    (a JSON file), a file is hashed again only if its size, times or inode changed. `BadInput` names
    a file that is absent or cannot be read.
    """
    files = open_source(settings.source, base=base, root=settings.root).files()
    if split is not None and settings.source.partition(":")[0] in FOLDERS:
        wanted = split == "test"
        files = {name: path for name, path in files.items() if name.startswith(TESTS) is wanted}
    hashes = FileHashes(cache)
    whole = hashlib.sha256()
    kind, _, place = settings.source.partition(":")
    whole.update(json.dumps([kind, "" if kind in FOLDERS else place]).encode())
    for name in sorted(files):
        whole.update(json.dumps([name, hashes.of(files[name])]).encode())
    whole.update(json.dumps(settings.version).encode())
    hashes.save()
    return whole.hexdigest()


class FileHashes:
    """sha256 of files, remembered in a JSON file by path, size, times and inode."""

    def __init__(self, cache: Path | None, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._cache, self._clock_ns = cache, clock_ns
        self._known = _loaded(cache)
        self._changed = False

    def of(self, path: Path) -> str:
        """The file's sha256 in hex."""
        place = str(path.absolute())
        try:
            stamp = _stamp(path)
            if self._known.get(place, [])[:-1] == stamp:
                return str(self._known[place][-1])
            now_ns = self._clock_ns()
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            steady = _stamp(path) == stamp and now_ns - max(stamp[1:3]) > RACY_NS
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
        if steady:
            self._known[place] = [*stamp, digest]
            self._changed = True
        return digest

    def save(self) -> None:
        """Write what was learnt, in one move; a cache that cannot be written costs only time."""
        if self._cache is None or not self._changed:
            return
        try:
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=self._cache.parent, prefix=self._cache.name)
            try:
                with os.fdopen(number, "w") as file:
                    json.dump(self._known, file)
                os.replace(name, self._cache)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            emit("note", text=f"{self._cache}: file hashes not kept ({error.strerror})")


def _stamp(path: Path) -> list[int]:
    """[size, mtime_ns, ctime_ns, inode]; ctime betrays a change whose mtime was set back."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _loaded(cache: Path | None) -> dict[str, list[int | str]]:
    """The cache's sound entries; none of a file that is absent or damaged."""
    if cache is None:
        return {}
    try:
        held = json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(held, dict):
        return {}
    return {
        place: entry
        for place, entry in held.items()
        if isinstance(entry, list)
        and len(entry) == 5
        and all(isinstance(number, int) for number in entry[:4])
        and isinstance(entry[4], str)
        and len(entry[4]) == 64
    }
