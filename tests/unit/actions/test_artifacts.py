"""Artifacts are there whole, once and under their key, or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from actions.artifacts import ArtifactRef, ArtifactsKind, ArtifactStore, Kept
from engine.contract import ActionFailed, Category, Target


def store(folder: Path, *, writable: bool = True, **limits: int) -> ArtifactStore:
    sizes = {"max_bytes": 1000, "max_total": 10_000, **limits}
    return ArtifactStore("kept", folder, writable=writable, **sizes)


def keep(where: ArtifactStore, name: str, data: bytes, key: str = "k", **facts: Any) -> Kept:
    with where.drafting(name, key) as draft:
        draft.write(data)
        return draft.keep(facts)


def files(folder: Path) -> list[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] not in (".meta", ".lock"))


def test_an_artifact_is_found_with_its_digest_key_and_facts(tmp_path: Path) -> None:
    made = store(tmp_path)
    kept = keep(made, "a/b.jsonl", b"rows", rows=3)
    assert kept == Kept("a/b.jsonl", hashlib.sha256(b"rows").hexdigest(), 4, "k", {"rows": 3})
    assert store(tmp_path, writable=False).find("a/b.jsonl") == kept
    assert (tmp_path / "a/b.jsonl").stat().st_mode & 0o777 == 0o600
    assert kept.reference("kept") == {
        "connection": "kept",
        "name": "a/b.jsonl",
        "sha256": kept.sha256,
        "bytes": 4,
    }
    with made.reading(ArtifactRef(**kept.reference("kept"))) as file:
        assert file.read() == b"rows"


def test_what_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    made = store(tmp_path)
    with made.drafting("a", "k") as draft:
        draft.write(b"half")
    assert files(tmp_path) == []
    assert made.find("a") is None


def test_a_name_is_taken_once_and_the_same_key_is_answered(tmp_path: Path) -> None:
    made = store(tmp_path)
    first = keep(made, "a", b"one", "k1")
    assert keep(made, "a", b"one more", "k1") == first
    with pytest.raises(ActionFailed, match="taken by others") as caught:
        keep(made, "a", b"two", "k2")
    assert caught.value.category is Category.DATA
    assert made.find("a") == first
    assert files(tmp_path) == ["a"]


def test_a_note_without_its_file_means_nothing(tmp_path: Path) -> None:
    made = store(tmp_path)
    keep(made, "a", b"one", "k1")
    (tmp_path / "a").unlink()  # the crash came between the note and the link
    assert made.find("a") is None
    assert keep(made, "a", b"two", "k2").key == "k2"


def test_a_file_put_there_by_hand_is_nobodys(tmp_path: Path) -> None:
    made = store(tmp_path)
    (tmp_path / "a").write_bytes(b"by hand")
    found = made.find("a")
    assert found == Kept("a", hashlib.sha256(b"by hand").hexdigest(), 7)
    with pytest.raises(ActionFailed, match="there already"):
        made.hold_free("a")


def test_only_what_was_left_is_removed(tmp_path: Path) -> None:
    made = store(tmp_path)
    kept = keep(made, "a", b"one")
    (tmp_path / "a").write_bytes(b"two")
    with pytest.raises(ActionFailed, match="a, sha256") as caught:
        made.remove(kept)
    assert caught.value.category is Category.DATA
    (tmp_path / "a").write_bytes(b"one")
    assert made.remove(kept)
    assert not made.remove(kept)
    assert files(tmp_path) == []
    assert list((tmp_path / ".meta").iterdir()) == []


def test_a_reference_holds_the_file_to_its_digest(tmp_path: Path) -> None:
    made = store(tmp_path)
    reference = ArtifactRef(**keep(made, "a", b"one").reference("kept"))
    (tmp_path / "a").write_bytes(b"two")
    with pytest.raises(ActionFailed, match="SHA-256 differs") as caught, made.reading(reference):
        pass
    assert caught.value.category is Category.DATA
    (tmp_path / "a").unlink()
    with pytest.raises(ActionFailed, match="no artifact a") as caught, made.reading(reference):
        pass
    assert caught.value.category is Category.PERMANENT


def test_limits_of_one_and_of_all(tmp_path: Path) -> None:
    made = store(tmp_path, max_bytes=5, max_total=400)
    with pytest.raises(ActionFailed, match="larger than max_bytes 5") as caught:
        keep(made, "a", b"123456")
    assert caught.value.category is Category.DATA
    (tmp_path / "old").write_bytes(b"x" * 397)
    with pytest.raises(ActionFailed, match="max_total 400") as caught:
        keep(made, "a", b"12345")
    assert caught.value.category is Category.RESOURCE
    assert files(tmp_path) == ["old"]


def test_a_read_only_world_and_a_bad_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ActionFailed, match="read-only"):
        keep(store(tmp_path, writable=False), "a", b"x")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ActionFailed, match="file") as caught:
        keep(store(tmp_path / "file"), "a", b"x")
    assert caught.value.category is Category.CONFIGURATION
    assert not caught.value.effect_possible
    for name in ("../a", "/a", ".meta/a", "a/.b", "a\n"):
        with pytest.raises(ActionFailed, match="is no name"):
            store(tmp_path).find(name)


def test_drafts_of_a_crash_are_swept_away(tmp_path: Path) -> None:
    made = store(tmp_path)
    own = hashlib.sha256(b"k").hexdigest()[:32]
    (tmp_path / ".drafts").mkdir()
    (tmp_path / ".drafts" / f"{own}.left").write_bytes(b"half")
    (tmp_path / ".drafts" / "others.working").write_bytes(b"half")
    keep(made, "a", b"one")
    assert files(tmp_path) == [".drafts/others.working", "a"]


def test_the_allow_list_is_by_name(tmp_path: Path) -> None:
    kind = ArtifactsKind()
    settings = kind.Settings.model_validate({"folder": str(tmp_path), "allow": ["backups/*"]})
    assert kind.refuses(settings, Target("kept", "backups/a")) is None
    assert "allow-list" in (kind.refuses(settings, Target("kept", "a")) or "")
    assert json.loads(json.dumps(dict(kind.check(store(tmp_path)))))["bytes"] == "0"
