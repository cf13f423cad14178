"""The store: an artifact is complete or absent, and what was altered is never taken for whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgestill.pipeline.events import JSON
from edgestill.pipeline.manifest import FILE, SCRATCH, Damaged, read_manifest, verify
from edgestill.pipeline.store import Artifact, Store, artifact_key

FACTS: dict[str, JSON] = {
    "version": 1,
    "settings": {"seed": 0},
    "inputs": {"data": "abc"},
    "metrics": {"top1": 0.5},
    "environment": {},
    "seconds": 1.5,
    "finished": "2026-01-01T00:00:00+00:00",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def artifact(store: Store) -> Artifact:
    work = store.work("teacher", "k1")
    (work / "weights").write_bytes(b"0123456789")
    (work / "deep").mkdir()
    (work / "deep" / "more.json").write_text("{}")
    (work / SCRATCH / "checkpoint").write_text("half")
    return store.publish("teacher", "k1", FACTS)


def test_what_is_published_is_found_whole(store: Store, artifact: Artifact) -> None:
    found = store.find("teacher", "k1")

    assert found is not None
    assert set(found.manifest.files) == {"weights", "deep/more.json"}
    assert found.manifest.metrics == {"top1": 0.5}
    assert not (found.path / SCRATCH).exists()


def test_what_is_being_made_is_absent(store: Store) -> None:
    (store.work("teacher", "k1") / "weights").write_bytes(b"half")

    assert store.find("teacher", "k1") is None


def test_a_second_try_keeps_the_checkpoint_and_drops_half_written_results(store: Store) -> None:
    work = store.work("teacher", "k1")
    (work / SCRATCH / "checkpoint").write_text("epoch 3")
    (work / "weights").write_bytes(b"half")

    again = store.work("teacher", "k1")

    assert (again / SCRATCH / "checkpoint").read_text() == "epoch 3"
    assert not (again / "weights").exists()


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))


def cut(path: Path) -> None:
    path.write_bytes(b"01")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte is flipped": (lambda f: flip(f / "weights"), "weights: not the bytes"),
    "a file is cut short": (lambda f: cut(f / "weights"), "weights: 2 bytes, not 10"),
    "a file is gone": (lambda f: (f / "deep/more.json").unlink(), "deep/more.json: missing"),
    "a file is slipped in": (lambda f: (f / "evil.onnx").write_text(""), "evil.onnx: no file of"),
    "the manifest is gone": (lambda f: (f / FILE).unlink(), "manifest.json: missing"),
    "the manifest is no JSON": (lambda f: cut(f / FILE), "manifest.json: not a manifest"),
    "the manifest is a list": (lambda f: (f / FILE).write_text("[]"), "json: not a manifest"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_named(store: Store, artifact: Artifact, what: str) -> None:
    damage, said = DAMAGES[what]
    damage(artifact.path)

    with pytest.raises(Damaged, match=said):
        store.find("teacher", "k1")


def test_every_byte_of_a_manifest_is_under_its_seal(artifact: Artifact) -> None:
    path = artifact.path / FILE
    raw = path.read_bytes()
    layout = {index for index, byte in enumerate(raw) if byte in b" \n"}

    unnoticed = []
    for index in range(len(raw)):
        if index in layout:
            continue
        path.write_bytes(raw[:index] + bytes([raw[index] ^ 1]) + raw[index + 1 :])
        try:
            verify(artifact.path)
            unnoticed.append(index)
        except Damaged:
            pass

    assert unnoticed == []


def test_a_manifest_of_another_schema_is_not_trusted(artifact: Artifact) -> None:
    path = artifact.path / FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))

    with pytest.raises(Damaged, match="another version"):
        read_manifest(artifact.path)


def test_damaged_artifacts_are_set_aside_one_beside_the_other(store: Store) -> None:
    for _ in range(2):
        (store.work("teacher", "k1") / "weights").write_bytes(b"x")
        store.publish("teacher", "k1", FACTS)
        store.set_aside("teacher", "k1")

    assert sorted(path.name for path in (store.root / "teacher").iterdir()) == [
        "k1.damaged-1",
        "k1.damaged-2",
    ]


def test_the_content_hash_knows_the_files_and_not_the_clock(store: Store) -> None:
    contents = []
    for key, seconds in (("k1", 1.0), ("k2", 2.0)):
        (store.work("teacher", key) / "weights").write_bytes(b"same")
        contents.append(
            store.publish("teacher", key, {**FACTS, "seconds": seconds}).manifest.content
        )

    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    "other",
    [("quantize", 1, {"a": 1}, {"x": "h"}), ("distill", 2, {"a": 1}, {"x": "h"}),
     ("distill", 1, {"a": 2}, {"x": "h"}), ("distill", 1, {"a": 1}, {"x": "g"})],
)  # fmt: skip
def test_a_key_depends_on_stage_version_settings_and_inputs(other) -> None:  # type: ignore[no-untyped-def]
    assert artifact_key("distill", 1, {"a": 1}, {"x": "h"}) != artifact_key(*other)


def test_a_kill_while_publishing_keeps_the_checkpoint(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = store.work("teacher", "k1")
    (work / "weights").write_bytes(b"0123456789")
    (work / SCRATCH / "checkpoint").write_text("epoch 200")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgestill.pipeline.store.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store.publish("teacher", "k1", FACTS)

    assert (store.work("teacher", "k1") / SCRATCH / "checkpoint").read_text() == "epoch 200"


def test_the_content_hash_knows_the_metrics(store: Store) -> None:
    contents = []
    for key, top1 in (("k1", 0.5), ("k2", 0.6)):
        (store.work("teacher", key) / "weights").write_bytes(b"same")
        facts: dict[str, JSON] = {**FACTS, "metrics": {"top1": top1}}
        contents.append(store.publish("teacher", key, facts).manifest.content)

    assert contents[0] != contents[1]
