"""A built engine is there whole, or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from edgestill.deploy.agent.engine_cache import ABANDONED_S, UNUSED_S, EngineCache, Kept, key_of
from edgestill.deploy.agent.errors import AgentError

PARTS: dict[str, Any] = {"model": "abc", "version": "10.3.0", "sm_count": 8, "power_mode": "15W"}


def kept(cache: EngineCache, content: bytes = b"plan") -> Kept:
    written = cache.room(PARTS)
    written.write_bytes(content)
    return cache.keep(PARTS, written, {"build_s": 12.5})


def test_what_was_kept_is_found_again_with_its_facts(tmp_path: Path) -> None:
    kept(EngineCache(tmp_path / "engines"))

    found = EngineCache(tmp_path / "engines").find(PARTS)

    assert found is not None
    assert found.path.read_bytes() == b"plan"
    assert found.facts == {"build_s": 12.5}


@pytest.mark.parametrize("part", list(PARTS))
def test_an_engine_is_not_found_by_other_parts(tmp_path: Path, part: str) -> None:
    cache = EngineCache(tmp_path)
    kept(cache)

    assert cache.find({**PARTS, part: "another"}) is None
    assert cache.damaged is None


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("engine", b"pl", "its bytes are not those that were written"),
        ("json", b"{", "its record cannot be read"),
        ("json", b"[]", "its record cannot be read"),
        ("json", b"{}", "its record cannot be read"),
    ],
)
def test_a_damaged_engine_is_removed_and_told(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    cache = EngineCache(tmp_path)
    kept(cache).path.with_suffix(f".{name}").write_bytes(content)

    assert cache.find(PARTS) is None
    assert cache.damaged == told
    assert list(tmp_path.iterdir()) == []


def test_an_engine_without_its_record_was_cut_off_and_is_built_anew(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    kept(cache).path.with_suffix(".json").unlink()

    assert cache.find(PARTS) is None
    assert cache.damaged is None
    again = kept(cache, b"new")
    assert cache.find(PARTS) == again


def test_a_record_without_its_engine_is_nothing(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    kept(cache).path.unlink()

    assert cache.find(PARTS) is None


def test_nothing_unfinished_lies_beside_what_is_kept(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    kept(cache)
    kept(cache, b"again")

    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".engine", ".json"]


@pytest.mark.parametrize("successes", [0, 1])
def test_an_engine_that_cannot_be_kept_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, successes: int
) -> None:
    replace = os.replace
    done: list[str] = []

    def full(source: str, target: str) -> None:
        if len(done) == successes:
            raise OSError(28, "No space left on device")
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)

    with pytest.raises(OSError, match="No space left"):
        kept(EngineCache(tmp_path))

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(AgentError, match=r"cannot make .*engines: "):
        EngineCache(tmp_path / "file" / "engines")


def aged(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


def test_what_nobody_used_for_a_month_is_removed_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    key = key_of(PARTS)
    names = [f"{key}.engine", f"{key}.json", "timing-10.3.0-abc.cache", "mine.engine", "notes.txt"]
    for name in names:
        (tmp_path / name).write_text("x")
        aged(tmp_path / name, UNUSED_S + 60)
    folder = tmp_path / f"onnxruntime-{key}"
    folder.mkdir()
    (folder / "model_sm87.engine").write_text("x")
    aged(folder, UNUSED_S + 60)

    EngineCache(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {"mine.engine", "notes.txt"}


def test_an_engine_in_use_stays_however_long_ago_it_was_built(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    folder = cache.folder_for({"builder": "onnxruntime"})
    engine = kept(cache).path
    for path in (engine, engine.with_suffix(".json"), folder):
        aged(path, UNUSED_S - 60)
    assert cache.find(PARTS) is not None
    cache.folder_for({"builder": "onnxruntime"})

    oldest_s = max(time.time() - path.stat().st_mtime for path in tmp_path.iterdir())

    assert oldest_s < UNUSED_S / 2
    assert EngineCache(tmp_path).find(PARTS) is not None


def test_what_a_build_that_was_cut_off_left_is_removed_and_what_is_being_written_stays(
    tmp_path: Path,
) -> None:
    cache = EngineCache(tmp_path)
    writing = cache.room(PARTS)
    writing.write_bytes(b"pl")
    for name in (f"{key_of({})}.7.part", f"{key_of({})}.7.json.part", "timing-8-a.cache.7.part"):
        (tmp_path / name).write_bytes(b"pl")
        aged(tmp_path / name, ABANDONED_S + 60)

    EngineCache(tmp_path)

    assert list(tmp_path.iterdir()) == [writing]


def test_a_link_to_a_folder_is_removed_without_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").write_text("x")
    link = tmp_path / "engines" / f"onnxruntime-{key_of(PARTS)}"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "theirs")
    aged(link, UNUSED_S + 60)

    EngineCache(tmp_path / "engines")

    assert not link.is_symlink()
    assert (tmp_path / "theirs" / "file").exists()
