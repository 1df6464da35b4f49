"""The cluster over HTTP, for the official clients and for tests that kill the engine and keep the world.

Paths under `/-/` are the cluster's own: the clock, the faults, the request log and the scripts of pods.
"""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from engine.domain.clock import ManualClock
from worlds.cluster import websocket
from worlds.cluster.cluster import Cluster
from worlds.cluster.fates import read_fate
from worlds.cluster.messages import ANONYMOUS, Request, Response, User, answer
from worlds.cluster.requests import read_fault
from worlds.cluster.status import ApiError, bad_request, unauthorized

log = logging.getLogger(__name__)
MAX_BODY = 3 * 1024 * 1024  # what the real server takes


class _Broken(Exception):
    """A fault broke the connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        try:
            request = self._read()
            response = (
                control(self.server.cluster, request)
                if request.path.startswith("/-/")
                else self.server.cluster.handle(request)
            )
        except ApiError as error:
            response = answer(error.body, error.code)
        except Exception:
            log.exception("%s %s could not be answered", self.command, self.path)
            body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500}
            response = answer(body | {"message": "the in-memory cluster has a mistake"}, 500)
        try:
            self._send(response)
        except (_Broken, BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _read(self) -> Request:
        parts = urlsplit(self.path)
        size = int(self.headers.get("Content-Length") or 0)
        if size > MAX_BODY:
            self.close_connection = True
            raise bad_request(f"Request entity too large: limit is {MAX_BODY}")
        body = self.rfile.read(size) if size else b""
        headers = {key.lower(): value for key, value in self.headers.items()}
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        return Request(
            method=self.command,
            path=parts.path,
            query=dict(pairs),
            headers=headers,
            body=body,
            user=self._user(headers.get("authorization", "")),
            command=tuple(value for name, value in pairs if name == "command"),
        )

    def _user(self, authorization: str) -> User:
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        user = self.server.cluster.tokens.get(token.strip())
        if scheme.lower() != "bearer" or user is None:
            raise unauthorized()
        return user

    def _send(self, response: Response) -> None:
        if response.headers.get("x-reset"):
            self._reset()
        if response.frames is not None:
            self._channels(response)
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.stream is not None:
            self._stream(response.stream)
            return
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def _channels(self, response: Response) -> None:
        """Speak as a WebSocket (RFC 6455) with the channels of v4.channel.k8s.io."""
        key = self.headers.get("Sec-WebSocket-Key", "")
        self.send_response(101)
        for name, value in websocket.accepted(key).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        self.server.cluster.clock.sleep(response.seconds)
        for channel, data in response.frames or ():
            self.wfile.write(websocket.frame(bytes([channel]) + data))
        self.wfile.write(websocket.CLOSE)
        self.wfile.flush()
        self.close_connection = True

    def _stream(self, chunks: Iterable[bytes]) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _reset(self) -> None:
        """Break the connection with RST, as a crashed peer or a cut line does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise _Broken

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            self.close_connection = True  # the connection was broken on purpose

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        log.debug(format, *args)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], cluster: Cluster) -> None:
        super().__init__(address, _Handler)
        self.cluster = cluster

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        log.debug("connection of %s ended badly", client_address, exc_info=True)


class ClusterServer:
    """Serves one cluster on loopback, and keeps its controllers going while nobody asks.

    Attributes:
        url: where it listens, known once made (port 0 takes a free one).
    """

    def __init__(self, cluster: Cluster, port: int = 0, host: str = "127.0.0.1") -> None:
        self.cluster = cluster
        self._server = _Server((host, port), cluster)
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._tick, daemon=True),
        ]

    def start(self) -> ClusterServer:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._ended.set()
        self.cluster.stop()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> ClusterServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _tick(self) -> None:
        """Run what is due, so that watches hear of it in time."""
        while not self._ended.wait(0.02):
            try:
                due = self.cluster.next_due()
                if due is not None and due <= self.cluster.clock.now():
                    self.cluster.run()
            except Exception:
                log.exception("a controller failed")


def control(cluster: Cluster, request: Request) -> Response:
    """Answer a request to the cluster's own paths.

    Raises:
        ApiError: 400, 404.
    """
    handlers: dict[tuple[str, str], Callable[[Cluster, Any], Any]] = {
        ("GET", "/-/requests"): lambda cluster, _: [
            vars(entry) for entry in cluster.requests.entries
        ],
        ("GET", "/-/clock"): lambda cluster, _: {"now": cluster.clock.now().isoformat()},
        ("POST", "/-/clock"): _advance,
        ("POST", "/-/faults"): lambda cluster, body: vars(cluster.faults.add(read_fault(body))),
        ("GET", "/-/faults"): lambda cluster, _: cluster.faults.as_json(),
        ("DELETE", "/-/faults"): lambda cluster, _: cluster.faults.clear(),
        ("POST", "/-/fates"): _script,
        ("POST", "/-/logs"): _log,
    }
    handler = handlers.get((request.method, request.path))
    if handler is None:
        raise ApiError(404, {"message": f"no such path: {request.method} {request.path}"})
    try:
        return answer(handler(cluster, json.loads(request.body or b"{}")))
    except (ValueError, KeyError, TypeError) as error:
        raise ApiError(400, {"message": f"{request.path}: {error}"}) from error


def _advance(cluster: Cluster, body: Any) -> Any:
    if not isinstance(cluster.clock, ManualClock):
        raise ValueError("the clock is the system's; start the cluster with --clock manual")
    cluster.clock.advance(float(body["advance"]))
    cluster.run()
    return {"now": cluster.clock.now().isoformat()}


def _script(cluster: Cluster, body: Any) -> Any:
    cluster.script(body["owner"], [read_fate(fate) for fate in body["fates"]])
    return {"owner": body["owner"], "fates": len(body["fates"])}


def _log(cluster: Cluster, body: Any) -> Any:
    cluster.log(body["namespace"], body["pod"], body["text"], body.get("container", ""))
    return {}
