"""Keys that are never in the database: for before-images (AES-256-GCM) and for seals (HMAC-SHA-256).

A key file holds one base64 key a line. The first is used; the others still open what older ones closed.
Rotate by writing a new key above the old ones (`rotate`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.domain.errors import InvalidInput

KEY_BYTES = 32
_NONCE_BYTES = 12


def key_id(key: bytes) -> str:
    """Return a name for a key that says nothing about it."""
    return hashlib.sha256(b"stanch key id\0" + key).hexdigest()[:16]


@dataclass(frozen=True)
class KeyRing:
    """Keys, the present one first."""

    keys: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.keys or any(len(key) != KEY_BYTES for key in self.keys):
            raise InvalidInput(f"a key ring needs keys of {KEY_BYTES} bytes, and at least one")

    @property
    def current(self) -> bytes:
        return self.keys[0]

    def find(self, wanted: str) -> bytes | None:
        return next((key for key in self.keys if key_id(key) == wanted), None)

    @classmethod
    def generate(cls) -> KeyRing:
        return cls((os.urandom(KEY_BYTES),))

    # ------------------------------------------------------------ before-images

    def encrypt(self, plain: bytes, context: bytes) -> tuple[str, bytes]:
        """Return (key id, sealed bytes); they open only with the same `context`."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE_BYTES)
        return key_id(self.current), nonce + AESGCM(self.current).encrypt(nonce, plain, context)

    def decrypt(self, wanted: str, sealed: bytes, context: bytes) -> bytes:
        """Open what `encrypt` sealed.

        Raises:
            InvalidInput: the key is not in the ring, or the bytes or their place were changed.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self.find(wanted)
        if key is None:
            raise InvalidInput(
                f"a before-image was sealed with key {wanted}, which is not in keys.images; "
                "add the old key below the present one"
            )
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except InvalidTag:
            raise InvalidInput(
                "a before-image does not open: it was changed or moved in the database"
            ) from None

    # ------------------------------------------------------------ seals

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return (key id, HMAC)."""
        return key_id(self.current), hmac.digest(self.current, message, "sha256")

    def verifies(self, wanted: str, message: bytes, mac: bytes) -> bool:
        key = self.find(wanted)
        return key is not None and hmac.compare_digest(hmac.digest(key, message, "sha256"), mac)


@dataclass(frozen=True)
class Keys:
    """The keys that a store needs."""

    images: KeyRing
    seal: KeyRing

    @classmethod
    def generate(cls) -> Keys:
        """New keys that nobody else has: tests, rehearsals."""
        return cls(KeyRing.generate(), KeyRing.generate())


def load_keys(images: Path, seal: Path) -> Keys:
    """Read both key files, making those that are missing (readable by their owner only).

    Raises:
        InvalidInput: a file cannot be read or holds no keys.
    """
    return Keys(load_ring(images), load_ring(seal))


def load_ring(path: Path) -> KeyRing:
    """Read one key file; make it where it is missing."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return _create(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: the key file cannot be read: {error}") from None
    try:
        keys = [base64.b64decode(line, validate=True) for line in text.split()]
        return KeyRing(tuple(keys))
    except (ValueError, InvalidInput):
        raise InvalidInput(
            f"{path}: not a key file; expected one base64 key of {KEY_BYTES} bytes a line"
        ) from None


def rotate(path: Path) -> KeyRing:
    """Put a new key above the old ones; what they closed still opens."""
    ring = KeyRing((os.urandom(KEY_BYTES), *load_ring(path).keys))
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    _write(beside, ring.keys)
    beside.replace(path)
    return ring


def _create(path: Path) -> KeyRing:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    _write(beside, KeyRing.generate().keys)
    try:
        os.link(beside, path)  # whole or not at all, and the first of two processes wins
    except FileExistsError:
        pass
    finally:
        beside.unlink()
    return load_ring(path)


def _write(path: Path, keys: Sequence[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(base64.b64encode(key) + b"\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())
