"""What every action over HTTP makes of answers that are none: each is classified, and none shows a secret."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from engine.contract import ActionFailed, Category
from engine.contract.testing import checks
from tests.contract.actions.cases import changes, notifies, reads

pytestmark = pytest.mark.real
BUILDERS = changes() | reads() | notifies()
ADDRESSES = ("url", "server", "endpoint_url")
# One case of each action: what comes back is the same for all its cases.
LABELS = {label.partition(":")[0]: label for label in reversed(BUILDERS)}
ANSWERS: dict[str, tuple[set[Category], bytes | None]] = {
    "401": ({Category.CONFIGURATION}, b"HTTP/1.1 401 Unauthorized\r\n"),
    "403": ({Category.CONFIGURATION}, b"HTTP/1.1 403 Forbidden\r\n"),
    "404": ({Category.PERMANENT, Category.CONFIGURATION}, b"HTTP/1.1 404 Not Found\r\n"),
    "429": ({Category.RATE_LIMIT}, b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n"),
    "500": ({Category.TRANSIENT}, b"HTTP/1.1 500 Internal Server Error\r\n"),
    "reset": ({Category.TRANSIENT}, None),
    "half an answer": (
        {Category.TRANSIENT},
        b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{",
    ),
}
XML = b"<ErrorResponse><Error><Code>Other</Code><Message>no</Message></Error></ErrorResponse>"
# They ask whether something is there, or leave out what is not.
NO_FAILURE = {("404", "kubernetes.secret_check"), ("404", "kubernetes.recent_changes")}


@contextmanager
def answering(text: bytes | None, body: bytes) -> Iterator[int]:
    """A port on which every request gets this answer, or a reset."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, suppress(OSError):
                    client.recv(65536)
                    if text is None:
                        client.setsockopt(
                            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                        )
                        continue
                    whole = b"\r\n\r\n" in text
                    length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
                    tail = b"" if whole else length + body
                    client.sendall(text + tail)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def towards(case: Any, port: int) -> Any:
    """The case's connections with their address at this port; None where it has none over HTTP."""
    name = case.params.get("connection", "")
    kind, settings = case.connections.settings.get(name, (None, {}))
    address = next((key for key in ADDRESSES if key in settings), None)
    if address is None:
        return None
    given = {**settings, address: f"http://127.0.0.1:{port}"}
    changed = {**case.connections.settings, name: (kind, given)}
    return replace(case.connections, settings=changed, _open={})


def attempted(case: Any, connections: Any) -> ActionFailed | None:
    try:
        checks.attempt(case, case.params, connections)
    except ActionFailed as failure:
        return failure
    return None


@pytest.mark.parametrize("label", LABELS.values())
def test_answers_that_are_none_are_classified(request: pytest.FixtureRequest, label: str) -> None:
    case = BUILDERS[label](request)
    if towards(case, 1) is None:
        return  # it speaks something else: its own case has the faults
    for name, (categories, text) in ANSWERS.items():
        with answering(text, XML if label.startswith("iam.") else b"") as port:
            connections = towards(case, port)
            failure = attempted(case, connections)
            connections.close()
        if failure is None:  # "there is none" is an answer too, for a read that asks whether
            assert (name, label) in NO_FAILURE
            continue
        assert failure.category in categories, f"{name}: {failure}"
        checks.silent(case, f"{failure} {failure.__cause__} {failure.args}")
        if name == "429":
            assert failure.retry_after in (7, None)
    case.connections.close()
