"""The `celery` connection: Celery's own client over a Redis broker, and Redis beneath it."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from urllib.parse import quote

from pydantic import BaseModel, Field, field_validator

from actions.redis.connection import RedisClient, RedisKind, RedisSettings, right
from actions.redis.failures import failed
from actions.redis.queues import SEPARATOR
from engine.contract import ActionFailed, Category, Grant, Opening, Target
from engine.contract.fields import Seconds

ASKING = frozenset({"ping", "active_queues", "active", "reserved", "scheduled", "stats"})
ORDERS = frozenset({"cancel_consumer", "add_consumer"})
WORKERS, RESULTS, UNACKED = "celery workers", "celery results", "celery unacked"
_PIDBOX = "_kombu.binding.celery.pidbox"
# What Celery's client sends to Redis when it puts a question to workers and waits for their answers; SCRIPT, TIME
# and the sorted sets when it tidies its table of reply queues meanwhile.
_CONTROL = (
    *("PING", "LLEN", "EVALSHA", "SCRIPT", "SADD", "TIME", "ZADD", "ZRANGEBYSCORE", "ZREM"),
    *("SMEMBERS", "BRPOP", "SREM", "DEL", "PUBLISH", "MULTI", "EXEC"),
)


class CelerySettings(RedisSettings):
    """Settings of a `celery` connection: of the Redis broker, and how its Celery is configured."""

    results: int | None = Field(
        None,
        ge=0,
        description="Number of the result backend's database; the broker's where left out",
    )
    results_prefix: str = Field(
        "celery-task-meta-", min_length=1, description="How the result backend's keys begin"
    )
    priorities: list[int] = Field(
        [0, 3, 6, 9],
        min_length=1,
        description="Celery's `priority_steps`. Redis hands out the lowest step first",
        examples=[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    )
    separator: str = Field(
        SEPARATOR, min_length=1, description="Celery's `sep`; must be what the workers have"
    )
    reply_within: Seconds = Field(
        2.0, gt=0, le=60, description="How long workers are waited for that do not answer"
    )

    @field_validator("priorities")
    @classmethod
    def _sorted(cls, value: list[int]) -> list[int]:
        if value != sorted(set(value)) or value[0] != 0 or value[-1] > 9:
            raise ValueError("priority steps rise from 0 to at most 9, each once")
        return value

    @property
    def selects(self) -> bool:
        return bool(self.database or self.results)

    def list_of(self, queue: str, priority: int) -> str:
        """Return the list that holds a queue's messages of a priority, as Celery's transport names it."""
        step = self.priorities[bisect(self.priorities, priority) - 1]
        return f"{queue}{self.separator}{step}" if step else queue


class CeleryClient(RedisClient):
    """Redis, and Celery's control of workers over it. Safe to share between threads.

    Attributes:
        results: the result backend's database.
    """

    settings: CelerySettings

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self.settings = cast(CelerySettings, opening.settings)
        self._opening = opening
        self._app: Any = None
        self.results: RedisClient = self
        database = self.settings.results
        if database is not None and database != self.settings.database:
            other = self.settings.model_copy(update={"database": database})
            self.results = RedisClient(replace(opening, settings=other))

    @property
    def app(self) -> Any:
        """Celery's application: it knows the broker and no task."""
        if self._app is None:
            from celery import Celery

            app = Celery("stanch", broker=self._url(), set_as_current=False)
            wait = self.settings.timeout
            app.conf.broker_transport_options = {
                "sep": self.settings.separator,
                "priority_steps": self.settings.priorities,
                "socket_timeout": wait,
                "socket_connect_timeout": wait,
            }
            app.conf.broker_connection_retry = False
            self._app = app
        return self._app

    def _url(self) -> str:
        settings = self.settings
        word = self._opening.secret(settings.password) if settings.password else ""
        login = f"{quote(settings.username or '', safe='')}:{quote(word, safe='')}@"
        scheme = "rediss" if settings.tls else "redis"
        login = login if settings.username or word else ""
        return f"{scheme}://{login}{settings.host}:{settings.port}/{settings.database}"

    def ask(self, method: str, to: Sequence[str] | None = None, **arguments: Any) -> dict[str, Any]:
        """Put a question, or an order, to workers and return their answers by worker's name.

        Args:
            to: workers by name. None: to all. Answers are waited for until every worker that is known has
                given one, at most `reply_within`.

        Raises:
            ActionFailed: classified; (permanent) an order in a world that only reads.
        """
        if method not in ASKING and not (self.writable and method in ORDERS):
            what = f"this world is read-only; {method} was not sent"
            raise self.failure(Category.PERMANENT, what)
        if to is not None and not to:
            return {}
        bound = self.bound()
        wait = self.settings.reply_within if to is None else max(5.0, self.settings.reply_within)
        try:
            # A connection for each question: kombu's own pools are shared by all that ask in this process.
            with self.app.connection_for_write() as connection:
                answers = self.app.control.broadcast(
                    method,
                    arguments=arguments,
                    destination=None if to is None else list(to),
                    reply=True,
                    timeout=wait,
                    limit=(len(bound) or None) if to is None else len(to),
                    connection=connection,
                )
        except Exception as error:  # noqa: BLE001  kombu lets drivers' errors through, of several bases
            raise self._failed(error, ordered=method in ORDERS) from None
        return {name: reply for answer in answers or () for name, reply in answer.items()}

    def bound(self) -> list[str]:
        """Return the workers that listen for control, or did when they died, by name.

        Raises:
            ActionFailed: (configuration) the workers' transport has another separator than the settings.
                Celery's client would write its own into the table of reply queues, and from then on every
                worker's answer fails, whoever asks: so it is told before anything is sent.
        """
        mark = self.settings.separator.encode()
        lines: Any = self.call("SMEMBERS", _PIDBOX)
        parts = [line.split(mark) for line in lines]
        if any(len(part) != 3 for part in parts):
            what = (
                f"the workers do not separate by {self.settings.separator!r}; set `separator` to the "
                "`sep` of their broker_transport_options"
            )
            raise self.failure(Category.CONFIGURATION, what)
        return sorted(part[2].decode().removesuffix(".celery.pidbox") for part in parts)

    def _failed(self, error: Exception, *, ordered: bool) -> ActionFailed:
        import redis

        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, redis.RedisError):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            return failed(cause, self.name, self._redactor, wrote=ordered)
        message = self._redactor.text(f"celery connection {self.name!r}: {error}")
        return ActionFailed(Category.TRANSIENT, message, effect_possible=ordered)

    def close(self) -> None:
        if self._app is not None:
            self._app.close()
        if self.results is not self:
            self.results.close()
        super().close()


def asks(connection: str) -> Grant:
    """Return the right to put questions and orders to workers."""
    keys = ("_kombu.*", "*.reply.celery.pidbox*")
    return right(connection, _CONTROL, keys)


class CeleryKind(RedisKind):
    """Connections to Celery on Redis."""

    kind = "celery"
    Settings = CelerySettings

    def open(self, opening: Opening) -> CeleryClient:
        return CeleryClient(opening)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        if target.path in (WORKERS, RESULTS, UNACKED):
            return None
        return super().refuses(settings, target)

    def check(self, client: RedisClient) -> Mapping[str, str]:
        assert isinstance(client, CeleryClient)
        found = client.ask("ping")
        return {"workers": ", ".join(sorted(found)) or "none answers"}
