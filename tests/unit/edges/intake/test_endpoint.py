"""The endpoint's answers. The store here is the smallest thing that keeps the store's promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette

from engine.domain.alert import Delivery
from engine.domain.entry import Entry
from engine.domain.errors import StoreUnavailable
from engine.edges.intake.auth import Auth, Basic, Bearer
from engine.edges.intake.endpoint import (
    FEW,
    PATH,
    QUIET,
    Accepted,
    Intake,
    IntakeSettings,
    intake_route,
)
from engine.journal.store import Store
from tests.unit.edges.intake.test_payload import alert, body


class MemoryAlerts:
    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.seen: set[tuple[str, str]] = set()

    def accept(self, delivery: Delivery) -> list[tuple[str, bool]]:
        self.deliveries.append(delivery)
        answer = []
        for read in delivery.alerts:
            key = (read.fingerprint, read.status.value)
            answer.append((read.fingerprint, key not in self.seen))
            self.seen.add(key)
        return answer


class MemoryJournal:
    def __init__(self) -> None:
        self.entries: list[tuple[str, Entry]] = []

    def append(self, chain: str, entries: Sequence[Entry]) -> None:
        self.entries.extend((chain, entry) for entry in entries)


class MemoryTx:
    def __init__(self) -> None:
        self.alerts = MemoryAlerts()
        self.journal = MemoryJournal()


class HandStore:
    """Commits when told to: `hold` keeps submitted work waiting, `error` fails it."""

    def __init__(self) -> None:
        self.tx = MemoryTx()
        self.hold = False
        self.error: Exception | None = None
        self.held: list[Callable[[], None]] = []

    def hand_in(
        self, work: Callable[[Any], Any], told: Callable[[Any, BaseException | None], None]
    ) -> None:
        def commit() -> None:
            if self.error is not None:
                told(None, self.error)
            else:
                told(work(self.tx), None)

        if self.hold:
            self.held.append(commit)
        else:
            commit()

    def release(self) -> None:
        for commit in self.held:
            commit()
        self.held.clear()


def client(
    store: HandStore, accepted: list[Accepted] | None = None, **changes: Any
) -> httpx.AsyncClient:
    settings = IntakeSettings(**changes)
    seen = accepted if accepted is not None else []
    route = intake_route(cast(Store, store), settings, seen.append)
    transport = httpx.ASGITransport(Starlette(routes=[route]))
    return httpx.AsyncClient(transport=transport, base_url="http://stanch")


async def post(store: HandStore, content: Any, **changes: Any) -> httpx.Response:
    headers = changes.pop("headers", None)
    async with client(store, **changes) as http:
        return await http.post(PATH, content=content, headers=headers)


def test_accepts_after_the_commit_and_counts() -> None:
    store, accepted = HandStore(), list[Accepted]()
    raw = body(alert(), alert(labels=3), alert(fingerprint="2"), truncatedAlerts=4)

    async def main() -> list[httpx.Response]:
        async with client(store, accepted) as http:
            return [await http.post(PATH, content=raw) for _ in range(2)]

    first, second = asyncio.run(main())
    assert first.status_code == 200
    assert first.json() == {
        "alerts": 2,
        "new": 2,
        "unreadable": 1,
        "truncated": 4,
        "over_limit": 0,
    }
    assert second.json()["new"] == 0
    assert [one.new for one in accepted] == [2, 0]
    assert len(store.tx.alerts.deliveries) == 2
    chain, entry = store.tx.journal.entries[0]
    assert (chain, entry.kind) == ("node:local", "delivery.problem")
    assert entry.body["truncated"] == 4
    assert entry.body["unreadable"] == ["labels are a number; expected an object of texts"]


def test_does_not_answer_before_the_commit() -> None:
    store = HandStore()
    store.hold = True

    async def main() -> int:
        async with client(store) as http:
            asking = asyncio.create_task(http.post(PATH, content=body(alert())))
            while not store.held:
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            assert not asking.done()
            store.release()
            return (await asking).status_code

    assert asyncio.run(main()) == 200


def test_a_store_that_is_down_is_503_with_retry_after() -> None:
    store = HandStore()
    store.error = StoreUnavailable("disk full at /var/lib")
    answer = asyncio.run(post(store, body(alert())))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "disk" not in answer.text  # a stranger learns nothing of the machine


def test_a_commit_that_hangs_is_503_and_its_late_end_is_no_error() -> None:
    store = HandStore()
    store.hold = True

    async def main() -> int:
        async with client(store, commit_timeout=0.02) as http:
            answer = await http.post(PATH, content=body(alert()))
            store.release()
            await asyncio.sleep(0.01)
            store.hold = False
            again = await http.post(PATH, content=body(alert()))
            assert again.json()["new"] == 0  # the late commit was kept, and recognised
            return answer.status_code

    assert asyncio.run(main()) == 503


def test_over_the_queue_limit_is_503_never_429() -> None:
    store = HandStore()
    store.hold = True

    async def main() -> list[int]:
        async with client(store, max_waiting=2) as http:
            asking = [asyncio.create_task(http.post(PATH, content=body(alert()))) for _ in range(2)]
            while len(store.held) < 2:
                await asyncio.sleep(0)
            refused = await http.post(PATH, content=body(alert()))
            store.release()
            return [refused.status_code, *[(await one).status_code for one in asking]]

    assert asyncio.run(main()) == [503, 200, 200]


@pytest.mark.parametrize(("together", "burst"), [(1, False), (FEW, False), (FEW + 1, True)])
def test_a_few_senders_at_once_are_no_burst(together: int, burst: bool) -> None:
    """Deciding gives way to a burst. Two Alertmanagers on a busy evening must not put their own repairs off."""
    store = HandStore()
    store.hold = True
    along: list[int] = []  # how many deliveries had been handed in when deciding was
    route = intake_route(
        cast(Store, store), IntakeSettings(), decide=lambda: along.append(len(store.held))
    )
    intake = cast(Intake, route.app)

    async def main() -> bool:
        transport = httpx.ASGITransport(Starlette(routes=[route]))
        async with httpx.AsyncClient(transport=transport, base_url="http://stanch") as http:
            asking = [http.post(PATH, content=body(alert())) for _ in range(together)]
            tasks = [asyncio.create_task(one) for one in asking]
            while len(store.held) < together:
                await asyncio.sleep(0)
            seen = intake.busy()
            store.release()
            assert [(await one).status_code for one in tasks] == [200] * together
            return seen

    assert intake.busy() is False
    assert asyncio.run(main()) is burst
    assert along == list(range(1, min(together, QUIET) + 1)), (
        "right behind its delivery, or not at all"
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405(method: str) -> None:
    async def main() -> httpx.Response:
        async with client(HandStore()) as http:
            return await http.request(method, PATH)

    answer = asyncio.run(main())
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("auth", "scheme"), [(Bearer("t0ken"), "Bearer"), (Basic("am", "t0ken"), "Basic")]
)
def test_wrong_credentials_are_401_and_store_nothing(auth: Auth, scheme: str) -> None:
    store = HandStore()
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic d3Jvbmc="}):
        answer = asyncio.run(post(store, body(alert()), auth=auth, headers=headers))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith(scheme)
        assert "t0ken" not in answer.text
    assert store.tx.alerts.deliveries == []
    good = {"authorization": "Bearer t0ken" if scheme == "Bearer" else "Basic YW06dDBrZW4="}
    assert asyncio.run(post(store, body(alert()), auth=auth, headers=good)).status_code == 200


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_413(announced: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100

    store = HandStore()
    content: Any = b" " * 2000 if announced else chunks()
    answer = asyncio.run(post(store, content, max_body=1000))
    assert answer.status_code == 413
    assert "1000 bytes" in answer.json()["error"]
    assert store.tx.alerts.deliveries == []


def test_unreadable_is_400_and_a_wrong_content_type_is_not() -> None:
    store = HandStore()
    assert asyncio.run(post(store, b"{")).status_code == 400
    odd = {"content-type": "text/plain"}
    assert asyncio.run(post(store, body(alert()), headers=odd)).status_code == 200


def test_limits_reach_the_parser() -> None:
    store = HandStore()
    raw = body(alert(labels={"alertname": "x", "replica": "a"}), alert())
    asyncio.run(post(store, body(alert())))
    assert store.tx.journal.entries == [], "a whole delivery leaves no trouble"
    store = HandStore()
    answer = asyncio.run(post(store, raw, max_alerts=1, drop_labels=frozenset({"replica"})))
    assert answer.json()["over_limit"] == 1
    assert store.tx.alerts.deliveries[0].alerts[0].labels == {"alertname": "x"}


def test_a_sender_that_hangs_up_leaves_nothing() -> None:
    store = HandStore()
    sent: list[Any] = []
    messages = iter(
        [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    intake = Intake(cast(Store, store), IntakeSettings())
    asyncio.run(intake({"type": "http", "method": "POST", "headers": []}, receive, send))
    assert sent == []
    assert store.tx.alerts.deliveries == []
