"""A real Alertmanager delivers to the real endpoint, which is down for a while: nothing lost, one run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from engine.domain.clock import SystemClock
from engine.domain.errors import StoreUnavailable
from engine.edges.intake.auth import Bearer
from engine.edges.intake.endpoint import PATH, IntakeSettings, intake_route
from engine.edges.intake.fingerprint import fingerprint
from engine.journal.store import Store, Tx
from tests.unit.incidents.kit import ALL, Kit, rule
from worlds.servers import AlertmanagerServer, free_port

T = TypeVar("T")
pytestmark = pytest.mark.real
TOKEN = "correct-horse"


class Tap:
    """The store with a tap in front of `hand_in`, as a database that goes away and comes back."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.shut = False
        self.refused = 0

    def hand_in(
        self, work: Callable[[Tx], T], told: Callable[[T | None, BaseException | None], None]
    ) -> None:
        if not self.shut:
            self._store.hand_in(work, told)
            return
        self.refused += 1
        told(None, StoreUnavailable("the database is away"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = Kit(tmp_path, rule(run_per=("namespace",)), clock=SystemClock())
    yield made
    made.close()


def serve(app: Starlette) -> tuple[uvicorn.Server, threading.Thread, int]:
    port = free_port()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started)
    return server, thread, port


def eventually(holds: Callable[[], Any], within: float = 20.0) -> None:
    until = time.monotonic() + within
    while not holds():
        assert time.monotonic() < until, "it did not come to be in time"
        time.sleep(0.02)


def send(am: AlertmanagerServer, *, ended: bool = False, **labels: str) -> dict[str, str]:
    now = datetime.now(UTC)
    alert: dict[str, Any] = {"labels": {"alertname": "Down", "namespace": "a", **labels}}
    if ended:
        alert["endsAt"] = (now - timedelta(seconds=1)).isoformat()
    httpx.post(f"{am.url}/api/v2/alerts", json=[alert]).raise_for_status()
    all_labels: dict[str, str] = alert["labels"]
    return all_labels


def test_alertmanager_retries_until_the_store_is_back(kit: Kit, tmp_path: Path) -> None:
    missing = AlertmanagerServer.missing()
    if missing:
        pytest.skip(f"needs {missing}")
    tap = Tap(kit.store)
    route = intake_route(tap, IntakeSettings(auth=Bearer(TOKEN)))
    server, thread, port = serve(Starlette(routes=[route]))
    stop = threading.Event()
    serving = threading.Thread(target=kit.triage.serve, args=(stop,))
    serving.start()
    folder = tmp_path / "alertmanager"
    folder.mkdir()
    try:
        with AlertmanagerServer(
            folder,
            webhook=f"http://127.0.0.1:{port}{PATH}",
            bearer=TOKEN,
            group_interval="1s",
        ) as am:
            tap.shut = True
            labels = send(am, pod="1")
            eventually(lambda: tap.refused >= 2)
            assert kit.runs() == []
            tap.shut = False
            eventually(lambda: len(kit.runs()) == 1)

            send(am, pod="2")
            eventually(lambda: len(kit.said()) == 2)
            send(am, pod="1", ended=True)
            send(am, pod="2", ended=True)
            eventually(lambda: len(kit.said()) == 4)
    finally:
        stop.set()
        server.should_exit = True
        serving.join()
        thread.join()
    assert kit.said() == [
        ("run", "matched"),
        ("join", "open_episode"),
        ("note", "resolved"),
        ("note", "resolved"),
    ]
    assert len(kit.runs()) == len(kit.incidents()) == 1
    rows = kit.store.read(lambda tx: tx.alerts.list(ALL))
    by_pod = {row.alert.labels["pod"]: row.alert for row in rows}
    assert by_pod["1"].fingerprint == fingerprint(labels), "computed as Alertmanager computes it"
