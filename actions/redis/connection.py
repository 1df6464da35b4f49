"""The `redis` connection: settings, allow-list, and a client that refuses what it should not send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field

from actions.redis.failures import failed
from engine.contract import (
    ActionFailed,
    Category,
    ConnectionKind,
    Grant,
    Opening,
    SecretRef,
    Target,
)
from engine.contract.fields import Seconds
from engine.contract.redact import Redactor
from engine.domain.canonical import JsonObject

READS = frozenset(
    {
        "PING",
        "LLEN",
        "LRANGE",
        "HLEN",
        "HMGET",
        "EXISTS",
        "GET",
        "MGET",
        "SCAN",
        "SMEMBERS",
        "ZRANGE",
    }
)
WRITES = frozenset({"EVAL"})


class RedisAllow(BaseModel):
    """What the connection may touch: key names, with * for any characters."""

    model_config = ConfigDict(extra="forbid")

    keys: list[str] = Field(description="Keys", examples=[["celery", "dead:*"]])


class RedisSettings(BaseModel):
    """Settings of a `redis` connection."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(description="Its host", examples=["redis.internal"], min_length=1)
    port: int = Field(6379, ge=1, le=65535, description="Its port")
    database: int = Field(0, ge=0, description="The number of the database")
    username: str | None = Field(None, description="The ACL user; `default` where missing")
    password: SecretRef | None = Field(None, description="Its password, by reference")
    tls: bool = Field(False, description="Speak TLS, and check the server's certificate")
    timeout: Seconds = Field(5.0, gt=0, description="Longest wait for a connection or an answer")
    token_prefix: str = Field(
        "stanch:token:", min_length=1, description="Keys that remember what was applied begin so"
    )
    keep_tokens: Seconds = Field(
        2_592_000.0, ge=3600, description="How long they are kept; no run may rest longer"
    )
    allow: RedisAllow | None = Field(None, description="Keys it may touch")

    @property
    def selects(self) -> bool:
        """Whether another database than the first is asked."""
        return self.database != 0

    def allows(self, key: str) -> bool:
        """Whether the allow-list has the key."""
        return self.allow is None or any(fnmatchcase(key, one) for one in self.allow.keys)


class RedisClient:
    """One connection pool. Safe to share between threads."""

    def __init__(self, opening: Opening) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self.name = opening.name
        self.settings = cast(RedisSettings, opening.settings)
        self.writable = opening.writable
        self.clock = opening.clock
        word = opening.secret(self.settings.password) if self.settings.password else None
        self._redactor = Redactor([word] if word else [])
        self._redis: Any = redis.Redis(
            host=self.settings.host,
            port=self.settings.port,
            db=self.settings.database,
            username=self.settings.username,
            password=word,
            ssl=self.settings.tls,
            socket_timeout=self.settings.timeout,
            socket_connect_timeout=self.settings.timeout,
            protocol=2,
            retry=Retry(NoBackoff(), 0),  # the engine decides what is tried again
        )

    def call(self, command: str, *arguments: Any) -> Any:
        """Send one command and return its answer.

        Raises:
            ActionFailed: classified; (permanent) the command is not let through; nothing was sent.
        """
        if command not in READS and not (self.writable and command in WRITES):
            what = f"this world is read-only; {command} was not sent"
            raise self.failure(Category.PERMANENT, what)
        import redis

        try:
            return self._redis.execute_command(command, *arguments)
        except redis.RedisError as error:
            raise failed(error, self.name, self._redactor, wrote=command in WRITES) from None

    def failure(self, category: Category, what: str) -> ActionFailed:
        """Return a failure before anything was changed."""
        message = self._redactor.text(f"redis connection {self.name!r}: {what}")
        return ActionFailed(category, message, effect_possible=False)

    def token(self, key: str) -> str:
        """Return the key that remembers a step's key."""
        return self.settings.token_prefix + key

    def close(self) -> None:
        self._redis.close()


def right(connection: str, commands: Sequence[str], keys: Sequence[str]) -> Grant:
    """Return the right to commands on keys."""
    return Grant(connection, "redis", {"commands": list(commands), "keys": list(keys)})


class RedisKind(ConnectionKind):
    """Connections to Redis servers."""

    kind = "redis"
    Settings = RedisSettings

    def open(self, opening: Opening) -> RedisClient:
        return RedisClient(opening)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        assert isinstance(settings, RedisSettings)
        if settings.allows(target.path):
            return None
        return f"key {target.path} is not in the allow-list of connection {target.connection!r}"

    def grant_text(self, settings: BaseModel, grants: Sequence[Grant], user: str) -> str:
        assert isinstance(settings, RedisSettings)
        commands = sorted({one.lower() for grant in grants for one in grant.detail["commands"]})
        keys = sorted({one for grant in grants for one in grant.detail["keys"]})
        commands += ["select"] if settings.selects else []
        words = [f"+{one.replace(' ', '|')}" for one in commands]
        words += [f"~{one.replace('stanch:token:', settings.token_prefix)}" for one in keys]
        words += ["allchannels"] if "publish" in commands else []
        return f"ACL SETUSER {user} on {' '.join(_quoted(word) for word in words)}\n"

    def check(self, client: RedisClient) -> Mapping[str, str]:
        client.call("PING")
        return {"answers": "PONG"}

    def warm(self, client: RedisClient, wanted: Sequence[JsonObject]) -> int:
        del wanted
        client.call("PING")
        return 0

    def close(self, client: RedisClient) -> None:
        client.close()


def _quoted(word: str) -> str:
    """Return a word as redis-cli reads it: separators of priorities are control characters."""
    if word.isprintable() and " " not in word:
        return word
    plain = (char if char.isprintable() else f"\\x{ord(char):02x}" for char in word)
    return f'"{"".join(plain)}"'
