"""Servers that take a request and never answer, or a byte at a time: every action over the network ends.

Each of its requests has its time-out, short here; what cannot be known of an effect is said to be unknown.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from actions.http import HttpDownload, HttpRequest
from actions.postgres.client import PostgresClient
from engine.contract import ActionFailed, Category, Notify, Read
from engine.contract.registry import load_registry
from engine.contract.testing.silence import spoken
from tests.contract.actions.cases_http import connections as over_http
from tests.contract.actions.cases_postgres import connections as over_sql
from tests.contract.actions.cases_s3 import connections as over_s3
from tests.contract.actions.conftest import Database
from tests.contract.actions.storing import add_store
from tests.contract.actions.worlds import Connections

SYSTEMS = {
    "alertmanager": "http",
    "celery": "celery",
    "github": "http",
    "http": "http",
    "iam": "iam",
    "kubernetes": "kubernetes",
    "mail": "mail",
    "openai": "http",
    "postgres": "postgres",
    "prometheus": "prometheus",
    "redis": "redis",
    "s3": "s3",
    "statuspage": "http",
    "webhook": "webhook",
}
# The run's own ports, local programs and files: nothing of them is over the network.
LOCAL = {"classify", "command", "incident", "log", "report", "slack"}
REGISTRY = load_registry()
NETWORKED = [name for name in REGISTRY.actions if name.partition(".")[0] not in LOCAL]
# What the examples of the required parameters leave open.
MORE: dict[str, dict[str, Any]] = {
    "http.pages": {"by": "link"},
    "kubernetes.configmap_merge": {"data": {"PAUSED": "true"}},
    "kubernetes.cronjob_set": {"schedule": "0 * * * *"},
    "kubernetes.logs": {"pod": "worker-0"},
    "kubernetes.set_resources": {"limits": {"memory": "1Gi"}},
    "kubernetes.job_wait": {"within": 1},
    "kubernetes.rollout_wait": {"within": 1},
    "postgres.backup": {"table": "queue_jobs", "params": {}},
    "prometheus.range": {"params": {}},
    "s3.delete": {"prefix": "tmp/"},
    "s3.put": {"text": "x"},
    "s3.quarantine": {"prefix": "tmp/"},
}
SHORT = 0.4  # seconds
SECRET = "h4nging+secret/=&"
SLOW = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"
HEADS = b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 100_000
REST = b" " * 90_000
GREETING = b"220-" + b"y" * 100_000


class Slow:
    """Its connections get `at_once` bytes of the text at the first request, then one byte in 0.1 s."""

    def __init__(self, text: bytes, at_once: int) -> None:
        self._text, self._at_once = text, at_once
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self.port = int(self._listener.getsockname()[1])
        self.asked = threading.Event()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.asked.set()
                threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if not self._text.startswith(b"220"):  # who speaks SMTP greets first
                client.recv(65536)
            client.sendall(self._text[: self._at_once])
            for byte in self._text[self._at_once :]:
                if self._ended.wait(0.1):
                    return
                client.sendall(bytes([byte]))
            self._ended.wait()

    def end(self) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def slow(text: bytes, at_once: int = 0) -> Iterator[Slow]:
    server = Slow(text, at_once)
    threading.Thread(target=server.serve, daemon=True).start()
    try:
        yield server
    finally:
        server.end()


def settings_of(kind: str, port: int, folder: Path) -> dict[str, Any]:
    """A connection of the kind to this port, with time-outs as short as may be."""
    url = f"http://127.0.0.1:{port}"
    address = f"postgresql://stanch@127.0.0.1:{port}/test?sslmode=disable&gssencmode=disable"
    keys = {"access_key": {"env": "SECRET"}, "secret_key": {"env": "SECRET"}}
    return {
        "http": {"url": url, "timeout": SHORT},
        "iam": {"endpoint_url": url, "timeout": SHORT, **keys},
        "kubernetes": {"server": url, "timeout": SHORT, "allow": {"commands": ["redis-cli ..."]}},
        "mail": {
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "timeout": SHORT,
            "sender": "stanch@example.org",
            "recipients": ["*"],
            "records": folder,
        },
        "postgres": {"dsn": address, "connect_timeout": 1},
        "prometheus": {"url": url, "timeout": SHORT},
        "celery": {"host": "127.0.0.1", "port": port, "timeout": SHORT, "reply_within": SHORT},
        "redis": {"host": "127.0.0.1", "port": port, "timeout": SHORT},
        "s3": {"endpoint_url": url, "timeout": SHORT, **keys},
        "webhook": {"preset": "generic", "url": url, "records": folder, "timeout": SHORT},
    }[kind]


def connections(params: Any, kind: str, port: int, folder: Path) -> Connections:
    settings = {params.connection: (REGISTRY.kinds[kind], settings_of(kind, port, folder))}
    return add_store(Connections(settings, {"SECRET": SECRET}), folder, "artifacts")


def failing(name: str, text: bytes, at_once: int, folder: Path) -> str:
    """How the action failed at such a server: its category; with what is wrong about that, if anything."""
    action = REGISTRY.action(name)
    given = {
        field: info.examples[0]
        for field, info in action.Params.model_fields.items()
        if info.examples and (info.is_required() or field in ("namespace", "params"))
    }
    params = action.Params.model_validate(given | MORE.get(name, {}))
    with slow(text, at_once) as server:
        made = connections(params, SYSTEMS[name.partition(".")[0]], server.port, folder)
        try:
            attempt(action, params, made)
        except ActionFailed as failure:
            said = f"{failure} {failure.args}"
            asked = "" if server.asked.wait(30) else f" before anything was asked: {failure}"
            leaks = " with a secret" if spoken(said, [SECRET]) else ""
            return f"{failure.category}{asked}{leaks}"
        finally:
            made.close()
    return "nothing failed"


def failures(asked: Iterable[tuple[str, bytes, int]], folder: Path) -> dict[str, str]:
    """All of them at once, since nearly all of their time is waiting."""
    with ThreadPoolExecutor(24) as pool:
        waiting = {
            name: pool.submit(failing, name, text, at_once, folder) for name, text, at_once in asked
        }
        return {name: one.result() for name, one in waiting.items()}


def attempt(action: Any, params: Any, made: Connections) -> None:
    if isinstance(action, Read):
        action.read(params, made.reading())
    elif isinstance(action, Notify):
        action.send(params, made.writing(), "key")
    else:
        action.apply(action.plan(params, made.reading()), made.writing(), "key")


def test_every_registered_action_is_of_the_network_or_is_not() -> None:
    systems = {name.partition(".")[0] for name in REGISTRY.actions}
    assert systems == {*SYSTEMS, *LOCAL}


def test_a_server_that_never_answers_is_transient(tmp_path: Path) -> None:
    found = failures([(name, b"", 0) for name in NETWORKED], tmp_path)
    assert found == dict.fromkeys(NETWORKED, "transient")


# One action of each client: the way an answer is read is the same for all of a connection's actions.
CLIENTS = (
    *("http.get", "http.request", "openai.batches", "alertmanager.silence", "webhook.send"),
    *(
        "prometheus.query",
        "kubernetes.get",
        "kubernetes.scale",
        "s3.put",
        "iam.simulate",
        "mail.send",
    ),
    "postgres.query",
)


@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_that_trickles_is_transient(tmp_path: Path, part: str) -> None:
    texts = {name: (HEADS, 0) if part == "head" else (SLOW + REST, len(SLOW)) for name in CLIENTS}
    texts["mail.send"] = (GREETING, 0)
    found = failures([(name, *text) for name, text in texts.items()], tmp_path)
    assert found == dict.fromkeys(CLIENTS, "transient")


@pytest.mark.parametrize("text", [b"", HEADS, SLOW], ids=["nothing", "heads", "a body"])
def test_what_became_of_a_write_is_not_known(text: bytes) -> None:
    with slow(text, len(text) if text == SLOW else 0) as server:
        url = f"http://127.0.0.1:{server.port}"
        made = over_http(url, timeout=SHORT)
        asked = {"connection": "api", "method": "POST", "path": "/v1/pauses", "body": {}}
        params = HttpRequest.Params.model_validate(asked)
        planned = HttpRequest().plan(params, made.reading())
        with pytest.raises(ActionFailed) as caught:
            HttpRequest().apply(planned, made.writing(), "key")
        assert (caught.value.category, caught.value.effect_possible) == (Category.TRANSIENT, True)
        made.close()
        stored = over_s3(url, timeout=SHORT)
        client = stored.client("s3", writable=True)
        with pytest.raises(ActionFailed) as caught, client.calling(writes=True) as boto:
            boto.put_object(Bucket="box", Key="a", Body=b"x")
        stored.close()
        assert (caught.value.category, caught.value.effect_possible) == (Category.TRANSIENT, True)


@pytest.mark.parametrize("rest", [b"", REST], ids=["stands", "trickles"])
def test_a_download_that_stands_or_trickles_is_given_up_and_leaves_nothing(
    tmp_path: Path, rest: bytes
) -> None:
    with slow(SLOW + rest, len(SLOW)) as server:
        made = add_store(over_http(f"http://127.0.0.1:{server.port}", timeout=SHORT), tmp_path)
        given = {"connection": "api", "artifacts": "kept", "path": "/v1/large"}
        planned = HttpDownload().plan(HttpDownload.Params.model_validate(given), made.reading())
        with pytest.raises(ActionFailed) as caught:
            HttpDownload().apply(planned, made.writing(), "key")
        assert (caught.value.category, caught.value.effect_possible) == (Category.TRANSIENT, False)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        made.close()


def stopped_in_the_middle(client: PostgresClient) -> None:
    with client.writing() as work:
        (row,) = work.run("SELECT pg_backend_pid() AS pid")
        os.kill(row["pid"], signal.SIGSTOP)
        try:
            work.run("SELECT 1")
        finally:
            os.kill(row["pid"], signal.SIGCONT)


def test_a_database_that_stands_in_the_middle_is_left(database: Database) -> None:
    made = over_sql(database.direct, connect_timeout=1, statement_timeout=0.2)
    client = made.client("db", writable=True)
    with pytest.raises(ActionFailed, match="no answer within") as caught:
        stopped_in_the_middle(client)
    assert (caught.value.category, caught.value.effect_possible) == (Category.TRANSIENT, False)
    with client.reading() as work:  # by a connection of its own, on which no late answer waits
        assert work.run("SELECT 2 AS n") == [{"n": 2}]
    made.close()
