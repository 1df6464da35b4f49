"""Socket Mode's side of Slack: sockets that apps open, envelopes that go out until one is acknowledged."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
import time
from typing import Any
from uuid import uuid4

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA


class Sockets:
    """The open sockets of one app. `open_now` counts them, `most` is the most there ever were at once."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._sockets: list[Any] = []
        self._tickets: set[str] = set()
        self._acknowledged: dict[str, float] = {}
        self._lock = threading.Condition()
        self.opened = 0
        self.most = 0

    @property
    def open_now(self) -> int:
        return len(self._sockets)

    def url(self) -> str:
        ticket = uuid4().hex
        self._tickets.add(ticket)
        return f"{self._base}/link/?ticket={ticket}"

    def wait(self, opened: int, patience: float = 10.0) -> None:
        """Wait until so many sockets were opened in all."""
        with self._lock:
            assert self._lock.wait_for(lambda: self.opened >= opened, patience), "no socket opened"

    def send(self, kind: str, payload: dict[str, Any], envelope: str | None = None) -> str:
        """Send an envelope over the newest socket; return its id."""
        name = envelope or uuid4().hex
        body: dict[str, Any] = {"envelope_id": name, "type": kind, "payload": payload}
        body["accepts_response_payload"] = kind == "slash_commands"
        self._write(self._sockets[-1], json.dumps(body))
        return name

    def acknowledged(self, envelope: str, patience: float = 5.0) -> float:
        """Wait for an acknowledgement; return the seconds that it took."""
        started = time.monotonic()
        with self._lock:
            assert self._lock.wait_for(lambda: envelope in self._acknowledged, patience), envelope
        return time.monotonic() - started

    def refresh(self) -> None:
        """Tell the app that its socket will be closed soon, as Slack does now and then."""
        told = {"type": "disconnect", "reason": "refresh_requested"}
        self._write(self._sockets[-1], json.dumps(told))

    def close(self) -> None:
        for handler in list(self._sockets):
            handler.connection.close()

    def serve(self, handler: Any) -> None:
        """Talk over one socket until it is closed."""
        ticket = handler.path.rpartition("ticket=")[2]
        if ticket not in self._tickets:
            handler.send_error(401)
            return
        self._tickets.discard(ticket)
        key = handler.headers["Sec-WebSocket-Key"]
        digest = hashlib.sha1((key + _GUID).encode()).digest()  # noqa: S324  the protocol's own
        handler.send_response(101)
        handler.send_header("Upgrade", "websocket")
        handler.send_header("Connection", "Upgrade")
        handler.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        handler.end_headers()
        self._write(handler, json.dumps({"type": "hello", "num_connections": 1}))
        with self._lock:
            self._sockets.append(handler)
            self.opened += 1
            self.most = max(self.most, len(self._sockets))
            self._lock.notify_all()
        try:
            self._listen(handler)
        except (OSError, ValueError, struct.error):
            pass
        finally:
            with self._lock:
                self._sockets.remove(handler)
                self._lock.notify_all()

    def _listen(self, handler: Any) -> None:
        while True:
            opcode, data = _read(handler.rfile)
            if opcode == _CLOSE:
                return
            if opcode == _PING:
                self._write(handler, data, _PONG)
            elif opcode == _TEXT:
                name = json.loads(data).get("envelope_id")
                with self._lock:
                    self._acknowledged[name] = time.monotonic()
                    self._lock.notify_all()

    def _write(self, handler: Any, data: str | bytes, opcode: int = _TEXT) -> None:
        raw = data.encode() if isinstance(data, str) else data
        size = len(raw)
        head = (
            struct.pack("!BB", 0x80 | opcode, size)
            if size < 126
            else struct.pack("!BBH", 0x80 | opcode, 126, size)
            if size < 1 << 16
            else struct.pack("!BBQ", 0x80 | opcode, 127, size)
        )
        with self._lock:
            handler.wfile.write(head + raw)
            handler.wfile.flush()


def _read(stream: Any) -> tuple[int, bytes]:
    """Read one frame of a client, which are masked (RFC 6455, 5.2)."""
    first, second = struct.unpack("!BB", stream.read(2))
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", stream.read(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", stream.read(8))
    mask = stream.read(4) if second & 0x80 else bytes(4)
    data = stream.read(size)
    return first & 0x0F, bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))
