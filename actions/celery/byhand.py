"""Celery's and Redis's command lines, for a person."""

from __future__ import annotations

from typing import Any

from actions.redis.byhand import cli
from engine.contract.byhand import ByHand, Given, Hand, Shell, command, note, option, secret


def _celery(given: Given, at: ByHand, *words: Any) -> str:
    settings = at.of(given)
    url: Any = "<url of the broker>"
    if settings is not None:
        scheme = "rediss" if settings.tls else "redis"
        login = f"{settings.username or ''}:" if settings.password else ""
        place = f"{settings.host}:{settings.port}/{settings.database}"
        url = f"{scheme}://{place}"
        if settings.password is not None:
            inside = secret(settings.password)
            url = Shell(f"{command(f'{scheme}://{login}')}{inside}{command(f'@{place}')}")
    return command("celery", "-b", url, *words)


def queues(_: object, given: Given, at: ByHand) -> Hand:
    settings, names = at.of(given), given.get("queues")
    steps = settings.priorities if settings is not None else [0]
    lists = [
        settings.list_of(str(name), step) if settings is not None else name
        for name in (names if isinstance(names, list) else [names])
        for step in steps
    ]
    return Hand([cli(given, at, "LLEN", name) for name in lists])


def workers(_: object, given: Given, at: ByHand) -> Hand:
    asked = (("inspect", what) for what in ("ping", "active_queues", "active", "reserved"))
    return Hand([_celery(given, at, *words) for words in asked])


def _destination(given: Given) -> list[str]:
    names = given.get("workers")
    if isinstance(names, list):
        return option("-d", ",".join(map(str, names)))
    return option("-d", names)


def pause(_: object, given: Given, at: ByHand) -> Hand:
    queue, to = given.get("queue", "<queue>"), _destination(given)
    return Hand(
        [_celery(given, at, "control", *to, "cancel_consumer", queue)],
        [_celery(given, at, "control", *to, "add_consumer", queue)],
    )


def resume(_: object, given: Given, at: ByHand) -> Hand:
    there = pause(None, given, at)
    return Hand(there.undo, there.do)


def failed(_: object, given: Given, at: ByHand) -> Hand:
    return Hand(
        [
            note("each key with its state and error; look for FAILURE"),
            cli(given, at, "--scan", "--pattern", "celery-task-meta-*"),
            cli(given, at, "GET", "<a key>"),
        ]
    )


def recover(_: object, given: Given, at: ByHand) -> Hand:
    queue = given.get("queue", "<queue>")
    return Hand(
        [
            *failed(None, given, at).do,
            note("each failed task once, under its own id, with the name and arguments of its key"),
            _celery(given, at, "call", "<name>", "--args", "<args>", "--queue", queue),
        ]
    )


def unacked(_: object, given: Given, at: ByHand) -> Hand:
    return Hand(
        [
            *workers(None, given, at).do[2:],
            note(
                "messages in work, with the time of their delivery; not those that a worker names"
            ),
            cli(given, at, "ZRANGE", "unacked_index", 0, -1, "WITHSCORES"),
            cli(given, at, "HGET", "unacked", "<tag>"),
        ]
    )


def restore(_: object, given: Given, at: ByHand) -> Hand:
    queue = given.get("queue", "<queue>")
    return Hand(
        [
            *unacked(None, given, at).do,
            note("for each message of a dead worker: the first part of its entry, as it stands"),
            cli(given, at, "RPUSH", queue, "<message>"),
            cli(given, at, "HDEL", "unacked", "<tag>"),
            cli(given, at, "ZREM", "unacked_index", "<tag>"),
        ]
    )
