"""`POST /hooks/alertmanager`: read, authenticate, parse, commit, and only then answer 200.

What Alertmanager does with the answer decides what we answer: it sends again after 5xx and lost
connections at once, after 4xx only with the group's next flush. So a store that cannot be written and a
queue that is full are 503 (never 429), and 4xx is kept for what can never be accepted.

A plain ASGI endpoint: one request is one body and one small answer, and this is the hot path.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from engine.domain.alert import Delivery
from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import StoreUnavailable
from engine.edges.intake.auth import Auth
from engine.edges.intake.payload import UnreadableBody, read_delivery
from engine.journal.store import Store, Tx

PATH = "/hooks/alertmanager"
QUIET = 2  # deliveries under way at once, of which each is decided in the commit that accepts it
FEW = 8  # deliveries under way at once, as two Alertmanagers with some groups make them; more are a burst
BURST = 0.1  # seconds that a burst lasts after it was seen last: between commits nothing waits


@dataclass(frozen=True)
class IntakeSettings:
    """How alerts are taken in.

    Attributes:
        max_body: bytes. max_alerts: of one delivery. max_waiting: deliveries that wait for their
            commit at once; beyond it 503.
        commit_timeout: seconds until a commit that does not come is answered 503. Alertmanager itself
            gives up after max(`group_interval`, 10 s).
        node: names this node's own journal chain.
    """

    drop_labels: frozenset[str] = field(default_factory=frozenset)
    max_body: int = 4 * 1024 * 1024
    max_alerts: int = 1000
    max_waiting: int = 5000
    commit_timeout: float = 8.0
    auth: Auth | None = None
    node: str = "local"


@dataclass(frozen=True)
class Accepted:
    """What one delivery brought, after its durable commit. `new` counts alerts not seen before."""

    receiver: str
    alerts: int
    new: int
    unreadable: int
    truncated: int
    over_limit: int
    seconds: float

    def as_json(self) -> JsonObject:
        return {
            "alerts": self.alerts,
            "new": self.new,
            "unreadable": self.unreadable,
            "truncated": self.truncated,
            "over_limit": self.over_limit,
        }


Answered = Callable[[int], None]


def _later() -> None:
    """Decide along with no delivery."""


class _TooLarge(Exception):
    pass


class _Gone(Exception):
    pass


class Intake:
    """The endpoint as an ASGI application. One instance serves one event loop.

    Parameters:
        on_accepted: called after the commit of every delivery, for metrics and wake-ups; quick.
        on_answer: called with every status code that is answered.
        decide: hands in, without waiting, what decides the delivery just handed in: called where hardly
            anything comes in, so that both share a commit. May raise StoreUnavailable.
    """

    def __init__(
        self,
        store: Store,
        settings: IntakeSettings,
        on_accepted: Callable[[Accepted], None] | None = None,
        on_answer: Answered | None = None,
        decide: Callable[[], None] = _later,
    ) -> None:
        self._store = store
        self._settings = settings
        self._on_accepted = on_accepted
        self._on_answer = on_answer
        self._decide = decide
        self.waiting = 0
        self._pressed = float("-inf")

    def busy(self) -> bool:
        """Whether a burst of deliveries comes in just now."""
        return time.perf_counter() - self._pressed < BURST

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, body, headers = await self._answer(scope, receive)
        except _Gone:
            return  # the sender hung up before its body was whole: nothing was accepted
        if self._on_answer is not None:
            self._on_answer(status)
        await _respond(send, status, body, headers)

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer:
        settings = self._settings
        if scope["method"] != "POST":
            return _problem(405, "alerts are delivered by POST", (b"allow", b"POST"))
        headers = dict(scope["headers"])
        if settings.auth is not None:
            given = headers.get(b"authorization")
            if not settings.auth.allows(given.decode("latin-1") if given else None):
                challenge = (b"www-authenticate", settings.auth.challenge.encode())
                return _problem(401, "these credentials may not deliver alerts", challenge)
        if self.waiting >= settings.max_waiting:
            return _busy("too many deliveries wait for the store")
        started = time.perf_counter()
        try:
            raw = await _body(headers, receive, settings.max_body)
            delivery = read_delivery(
                raw, drop_labels=settings.drop_labels, max_alerts=settings.max_alerts
            )
        except _TooLarge:
            return _problem(413, f"the body is over {settings.max_body} bytes (intake.max_body)")
        except UnreadableBody as problem:
            return _problem(400, str(problem))
        return await self._commit(delivery, started)

    async def _commit(self, delivery: Delivery, started: float) -> _Answer:
        """Answer 200 only once the delivery is durable."""

        def work(tx: Tx) -> int:
            new = sum(1 for _, first in tx.alerts.accept(delivery) if first)
            if delivery.truncated or delivery.over_limit or delivery.unreadable:
                tx.journal.append(f"node:{self._settings.node}", [_trouble(delivery)])
            return new

        self.waiting += 1
        if self.waiting > FEW:
            self._pressed = started
        try:
            new = await self._durable(work)
        except TimeoutError:
            # A commit that comes late is durable all the same, and what is then sent again is recognised.
            return _busy("the store did not commit in time")
        except StoreUnavailable:
            return _busy("the store cannot be written now")
        finally:
            self.waiting -= 1
        accepted = Accepted(
            receiver=delivery.receiver,
            alerts=len(delivery.alerts),
            new=new,
            unreadable=len(delivery.unreadable),
            truncated=delivery.truncated,
            over_limit=delivery.over_limit,
            seconds=time.perf_counter() - started,
        )
        if self._on_accepted is not None:
            self._on_accepted(accepted)
        return 200, accepted.as_json(), ()

    async def _durable(self, work: Callable[[Tx], int]) -> int:
        """Await a commit. A bare future and a timer: `wait_for` would cost more than the rest.

        Raises:
            TimeoutError: it did not come in time; it may come later.
            StoreUnavailable: nothing was kept.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[int] = loop.create_future()

        def told(new: int | None, error: BaseException | None) -> None:
            loop.call_soon_threadsafe(_settle, waiter, new, error)

        self._store.hand_in(work, told)
        if self.waiting <= QUIET and not self.busy():
            self._decide()
        timer = loop.call_later(
            self._settings.commit_timeout, _settle, waiter, None, TimeoutError()
        )
        try:
            return await waiter
        finally:
            timer.cancel()


def _settle(waiter: asyncio.Future[int], new: int | None, error: BaseException | None) -> None:
    if waiter.done():
        return
    if error is None:
        waiter.set_result(new or 0)
    else:
        waiter.set_exception(error)


def _trouble(delivery: Delivery) -> Entry:
    """What a delivery lacks, for the journal; the unreadable alerts themselves stand beside it."""
    body = {
        "receiver": delivery.receiver,
        "group_key": delivery.group_key,
        "truncated": delivery.truncated,
        "over_limit": delivery.over_limit,
        "unreadable": sorted({one.reason for one in delivery.unreadable})[:5],
    }
    return Entry("delivery.problem", body)


_Header = tuple[bytes, bytes]
_Answer = tuple[int, JsonObject, tuple[_Header, ...]]


def _problem(status: int, message: str, *headers: _Header) -> _Answer:
    return status, {"error": message}, headers


def _busy(message: str) -> _Answer:
    return _problem(503, f"{message}; nothing was accepted, send it again", (b"retry-after", b"1"))


async def _body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        raise _TooLarge
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _TooLarge
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _respond(send: Send, status: int, body: JsonObject, headers: tuple[_Header, ...]) -> None:
    content = orjson.dumps(body)
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(content)).encode()),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": content})


def intake_route(
    store: Store,
    settings: IntakeSettings,
    on_accepted: Callable[[Accepted], None] | None = None,
    on_answer: Answered | None = None,
    decide: Callable[[], None] = _later,
) -> Route:
    """Return the route to be mounted in the web application: `app.router.routes.append(...)`."""
    return Route(PATH, Intake(store, settings, on_accepted, on_answer, decide), name="intake")
