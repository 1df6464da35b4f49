"""The server's half of a WebSocket (RFC 6455), as far as `exec` needs it."""

from __future__ import annotations

import base64
import hashlib
import struct

PROTOCOL = "v4.channel.k8s.io"
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLOSE = b"\x88\x02\x03\xe8"  # status 1000


def accepted(key: str) -> dict[str, str]:
    """Return the headers that accept a handshake."""
    digest = hashlib.sha1((key + _GUID).encode()).digest()  # noqa: S324  the protocol's own
    return {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": base64.b64encode(digest).decode(),
        "Sec-WebSocket-Protocol": PROTOCOL,
    }


def frame(data: bytes) -> bytes:
    """Return one binary frame, unmasked as a server's are."""
    size = len(data)
    if size < 126:
        return struct.pack("!BB", 0x82, size) + data
    if size < 1 << 16:
        return struct.pack("!BBH", 0x82, 126, size) + data
    return struct.pack("!BBQ", 0x82, 127, size) + data
