"""A recorder between an action and its target: it passes every byte on and keeps what was sent."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import Self

_REQUEST = re.compile(rb"(?:^|\r\n)(GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.[01]\r\n")
_SAFE = {"GET", "HEAD", "OPTIONS"}


class Recorder:
    """Listens on a port of its own and forwards to `port`, both on 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._streams: list[bytearray] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.refusing = False  # closes every connection at once, as a dead target does

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self) -> None:
        """Break every connection that stands; new ones are taken, unless `refusing`."""
        for opened in self._sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()
        self._sockets.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refusing:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._upstream))
                self._sockets += [client, server]
                kept = bytearray()
                self._streams.append(kept)
                for source, sink, keep in ((client, server, kept), (server, client, None)):
                    threading.Thread(
                        target=self._pass_on, args=(source, sink, keep), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, keep: bytearray | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if keep is not None:
                    keep += data  # before it is passed on: what the target has, the record has
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @property
    def connections(self) -> int:
        """How many connections were opened so far."""
        return len(self._streams)

    def requests(self) -> list[tuple[str, str]]:
        """Every HTTP request sent: method and path."""
        return [
            (match.group(1).decode(), match.group(2).decode())
            for stream in self._streams
            for match in _REQUEST.finditer(bytes(stream))
        ]

    def http_writes(self) -> list[str]:
        """The requests by methods that are not safe."""
        return [f"{method} {path}" for method, path in self.requests() if method not in _SAFE]

    def redis_commands(self) -> list[str]:
        """Every Redis command sent, in order, without its arguments."""
        return [words[0].decode("utf-8", "replace").upper() for words in self.redis_calls()]

    def redis_calls(self) -> list[list[bytes]]:
        """Every Redis command sent, in order, with its arguments."""
        return [words for stream in self._streams for words in _redis(bytes(stream))]

    def statements(self) -> list[str]:
        """Every SQL text sent, by either protocol, in order (PostgreSQL's frontend messages P and Q)."""
        return [text for stream in self._streams for text in _sql(bytes(stream))]

    def commits(self) -> list[str]:
        """What could have left something behind: each COMMIT, and each statement outside a transaction."""
        found = []
        for stream in self._streams:
            inside = False
            for text in _sql(bytes(stream)):
                word = text.split(None, 1)[0].upper()
                if word == "BEGIN":
                    inside = True
                elif word == "ROLLBACK" and "SAVEPOINT" not in text.upper():
                    inside = False
                elif word == "COMMIT" or (not inside and word != "DEALLOCATE"):
                    inside = False
                    found.append(text)
        return found


def _redis(stream: bytes) -> list[list[bytes]]:
    """Return the commands of a stream of RESP arrays, as far as they are whole."""
    found: list[list[bytes]] = []
    rest = stream
    while rest.startswith(b"*"):
        head, _, rest = rest.partition(b"\r\n")
        words = []
        for _ in range(int(head[1:])):
            size, _, rest = rest.partition(b"\r\n")
            words.append(rest[: int(size[1:])])
            rest = rest[int(size[1:]) + 2 :]
        found.append(words)
    return found


def _sql(stream: bytes) -> list[str]:
    if len(stream) < 4:
        return []
    offset = int.from_bytes(stream[:4], "big")  # the startup message has no type
    found = []
    while offset + 5 <= len(stream):
        kind = stream[offset : offset + 1]
        length = int.from_bytes(stream[offset + 1 : offset + 5], "big")
        body = stream[offset + 5 : offset + 1 + length]
        if kind == b"Q":
            found.append(body.rstrip(b"\0").decode())
        elif kind == b"P":
            found.append(body.split(b"\0")[1].decode())
        offset += 1 + length
    return found
