"""redis-cli, for a person."""

from __future__ import annotations

from typing import Any

from engine.contract.byhand import ByHand, Given, Hand, Shell, command, note, secret


def cli(given: Given, at: ByHand, *words: Any) -> str:
    """Return a redis-cli command at the connection."""
    settings = at.of(given)
    head: list[Any] = []
    if settings is not None:
        if settings.password is not None:
            head.append(Shell(f"REDISCLI_AUTH={secret(settings.password)}"))
        head += ["redis-cli", "-h", settings.host, "-p", settings.port, "-n", settings.database]
        head += ["--tls"] if settings.tls else []
        head += ["--user", settings.username] if settings.username else []
    else:
        head.append("redis-cli")
    return command(*head, *words)


def queues(_: object, given: Given, at: ByHand) -> Hand:
    names = given.get("queues")
    return Hand(
        [cli(given, at, "LLEN", name) for name in (names if isinstance(names, list) else [names])]
    )


def requeue(_: object, given: Given, at: ByHand) -> Hand:
    source, queue = given.get("source", "<source>"), given.get("queue", "<queue>")
    times = given.get("limit", 100)
    return Hand(
        [
            note(f"once a message, at most {times} times, until it prints (nil)"),
            cli(given, at, "LMOVE", source, queue, "RIGHT", "LEFT"),
        ],
        [cli(given, at, "LMOVE", queue, source, "LEFT", "RIGHT")],
    )
