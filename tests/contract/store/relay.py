"""A relay before PostgreSQL that cuts one connection just before or just after a COMMIT passes."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit


class Relay:
    """While `armed`, the next COMMIT ends its connection: before the server sees it, or (`deliver`)
    after the server has answered and before the client hears of it."""

    def __init__(self, url: str, deliver: bool) -> None:
        parts = urlsplit(url)
        assert parts.port is not None
        self._server = ("127.0.0.1", parts.port)
        self._deliver = deliver
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
        self.armed = False

    def __enter__(self) -> Relay:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            cutting = threading.Event()
            for work in (self._to_server, self._to_client):
                threading.Thread(target=work, args=(client, server, cutting), daemon=True).start()

    def _to_server(
        self, client: socket.socket, server: socket.socket, cutting: threading.Event
    ) -> None:
        while data := _receive(client):
            if self.armed and b"COMMIT" in data:
                self.armed = False
                cutting.set()
                if not self._deliver:
                    break
            server.sendall(data)
        _end(server if cutting.is_set() and self._deliver else client, server)

    def _to_client(
        self, client: socket.socket, server: socket.socket, cutting: threading.Event
    ) -> None:
        while data := _receive(server):
            if cutting.is_set():
                break
            client.sendall(data)
        _end(client, server)


def _receive(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):  # its other side was quicker
            each.shutdown(socket.SHUT_RDWR)
        each.close()
