"""A built engine is there whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from edgestill.deploy.agent.engine_cache import EngineCache, Kept
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
