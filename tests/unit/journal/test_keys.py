"""Key files: made once, readable by their owner only, rotated without losing what older keys closed."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import pytest

from engine.domain.errors import InvalidInput
from engine.journal.keys import KeyRing, load_keys, load_ring, rotate


def test_missing_key_files_are_made_for_their_owner_only(tmp_path: Path) -> None:
    images, seal = tmp_path / "var" / "images.key", tmp_path / "var" / "seal.key"
    keys = load_keys(images, seal)
    assert images.stat().st_mode & 0o777 == seal.stat().st_mode & 0o777 == 0o600
    assert load_keys(images, seal) == keys
    assert keys.images != keys.seal
    assert sorted(path.name for path in images.parent.iterdir()) == ["images.key", "seal.key"]


def test_of_many_that_make_the_same_file_all_get_its_key(tmp_path: Path) -> None:
    rings: list[KeyRing] = []
    threads = [
        threading.Thread(target=lambda: rings.append(load_ring(tmp_path / "k"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rings) == 8
    assert set(rings) == {load_ring(tmp_path / "k")}


def test_a_rotated_ring_opens_what_the_old_key_closed(tmp_path: Path) -> None:
    path = tmp_path / "k"
    old = load_ring(path)
    used, sealed = old.encrypt(b"before", b"context")
    signed, mac = old.sign(b"head")
    new = rotate(path)
    assert new == load_ring(path)
    assert new.current != old.current
    assert new.decrypt(used, sealed, b"context") == b"before"
    assert new.verifies(signed, b"head", mac)
    assert not new.verifies(signed, b"tail", mac)
    assert new.encrypt(b"", b"")[0] != used
    with pytest.raises(InvalidInput, match=r"not in keys\.images"):
        KeyRing.generate().decrypt(used, sealed, b"context")


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"short").decode(), "\udcff"])
def test_a_file_that_holds_no_keys_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InvalidInput, match="key file"):
        load_ring(path)
    assert path.read_bytes() == text.encode(errors="surrogateescape")


def test_keys_are_never_shown() -> None:
    ring = KeyRing((b"\x41" * 32,))
    assert "AAAA" not in repr(ring)
