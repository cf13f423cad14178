"""The hash of a data set: follows every byte, and costs nothing when no file changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline.events import JSON, listening
from edgestill.pipeline.fingerprint import RACY_NS, FileHashes, fingerprint
from edgestill.pipeline.recipe import DataSettings

PARQUET = DataSettings(source="parquet:set")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder `set` of two files; a fingerprint does not care that they are no parquet."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.parquet").write_bytes(b"training")
    (tmp_path / "set" / "test.parquet").write_bytes(b"test")
    return tmp_path


def later() -> int:
    """A clock by which no file is young."""
    return time.time_ns() + 2 * RACY_NS


@pytest.mark.parametrize("name", ["train.parquet", "test.parquet"])
def test_one_byte_of_either_split_changes_it(base: Path, name: str) -> None:
    before = fingerprint(PARQUET, base, None)
    path = base / "set" / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert fingerprint(PARQUET, base, None) != before


def test_a_renamed_or_added_file_changes_it(base: Path) -> None:
    before = fingerprint(PARQUET, base, None)
    (base / "set" / "train.parquet").rename(base / "set" / "train-0.parquet")
    renamed = fingerprint(PARQUET, base, None)
    (base / "set" / "train-1.parquet").write_bytes(b"more")
    assert len({before, renamed, fingerprint(PARQUET, base, None)}) == 3


def test_a_file_the_source_does_not_read_changes_nothing(base: Path) -> None:
    before = fingerprint(PARQUET, base, None)
    (base / "set" / "README").write_text("words")
    assert fingerprint(PARQUET, base, None) == before


def test_moving_the_whole_set_changes_nothing(base: Path) -> None:
    before = fingerprint(PARQUET, base, None)
    (base / "set").rename(base / "elsewhere")
    assert fingerprint(DataSettings(source="parquet:elsewhere"), base, None) == before


def test_an_image_folder_is_followed_file_by_file(tmp_path: Path) -> None:
    picture = tmp_path / "pets" / "train" / "cat" / "a.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"one")
    settings = DataSettings(source="imagefolder:pets")
    before = fingerprint(settings, tmp_path, None)
    picture.write_bytes(b"two")
    assert fingerprint(settings, tmp_path, None) != before


def test_of_a_users_function_the_source_and_the_version_count(tmp_path: Path) -> None:
    path = tmp_path / "own_marks.py"
    path.write_text("raise RuntimeError('a fingerprint imports nothing')")
    first = DataSettings(source="own_marks:load")
    before = fingerprint(first, tmp_path, None)
    second = DataSettings(source="own_marks:load", version="2026-03")
    versioned = fingerprint(second, tmp_path, None)
    path.write_text("raise RuntimeError('changed')")
    assert len({before, versioned, fingerprint(first, tmp_path, None)}) == 3


def test_the_digits_are_hashed_without_any_heavy_package() -> None:
    code = (
        "import sys; from pathlib import Path; from types import SimpleNamespace as Named\n"
        "from edgestill.pipeline.fingerprint import fingerprint\n"
        "print(fingerprint(Named(source='digits', root=None, version=''), Path(), None))\n"
        "print(*sys.modules)"
    )
    told, loaded = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()
    assert len(told) == 64
    heavy = {"torch", "sklearn", "pyarrow", "torchvision", "numpy", "PIL"}
    assert not heavy & set(loaded.split())


def test_a_known_file_is_not_read_again(base: Path) -> None:
    path = base / "set" / "train.parquet"
    cache = base / "cache.json"
    hashes = FileHashes(cache, clock_ns=later)
    digest = hashes.of(path)
    hashes.save()
    held = json.loads(cache.read_text())
    held[str(path)][-1] = "f" * 64  # a lie only the cache can tell
    cache.write_text(json.dumps(held))
    assert digest == hashlib.sha256(b"training").hexdigest()
    assert FileHashes(cache).of(path) == "f" * 64


def test_a_file_changed_in_place_with_its_times_set_back_is_hashed_again(base: Path) -> None:
    path = base / "set" / "train.parquet"
    cache = base / "cache.json"
    hashes = FileHashes(cache, clock_ns=later)
    hashes.of(path)
    hashes.save()
    times = path.stat()
    time.sleep(0.02)  # a coarse clock of the file system ticks every 4 ms or so
    path.write_bytes(b"TRAINING")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert FileHashes(cache).of(path) == hashlib.sha256(b"TRAINING").hexdigest()


def test_a_young_file_is_not_remembered(base: Path) -> None:
    path, cache = base / "set" / "train.parquet", base / "cache.json"
    hashes = FileHashes(cache, clock_ns=lambda: path.stat().st_mtime_ns + RACY_NS // 2)
    hashes.of(path)
    hashes.save()
    assert not cache.exists()


def test_a_file_replaced_by_another_of_the_same_size_is_seen(base: Path) -> None:
    path, cache = base / "set" / "train.parquet", base / "cache.json"
    hashes = FileHashes(cache, clock_ns=later)
    hashes.of(path)
    hashes.save()
    fresh = base / "fresh"
    fresh.write_bytes(b"TRAINING")
    times = path.stat()
    os.utime(fresh, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(fresh, path)
    assert FileHashes(cache).of(path) == hashlib.sha256(b"TRAINING").hexdigest()


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"[1, 2]", b"\xff\xfe", b'{"a": 1}', b'{"%s": [8, 1, 2, 3]}', b"null"]
)
def test_a_damaged_cache_is_passed_over_and_made_anew(base: Path, damaged: bytes) -> None:
    path, cache = base / "set" / "train.parquet", base / "cache.json"
    cache.write_bytes(damaged.replace(b"%s", str(path).encode()))
    hashes = FileHashes(cache, clock_ns=later)
    assert hashes.of(path) == hashlib.sha256(b"training").hexdigest()
    hashes.save()
    assert json.loads(cache.read_text())[str(path)][-1] == hashes.of(path)


def test_the_cache_leaves_no_half_written_file(base: Path) -> None:
    cache = base / "work" / "cache.json"
    hashes = FileHashes(cache, clock_ns=later)
    hashes.of(base / "set" / "train.parquet")
    hashes.save()
    assert [path.name for path in cache.parent.iterdir()] == ["cache.json"]


def test_a_cache_that_cannot_be_written_is_told_and_no_more(base: Path) -> None:
    (base / "work").write_text("a file where a folder should be")
    hashes = FileHashes(base / "work" / "cache.json", clock_ns=later)
    hashes.of(base / "set" / "train.parquet")
    heard: list[JSON] = []
    with listening(lambda kind, fields: heard.append(fields["text"])):
        hashes.save()
    assert len(heard) == 1
    assert "file hashes not kept" in str(heard[0])


def test_an_absent_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no train\*\.parquet in .*set, which is absent"):
        fingerprint(PARQUET, tmp_path, None)
