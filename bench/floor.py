"""The floor: a bare server that stores each alert durably (SQLite, synchronous FULL, group commit), then acts.

It does what no server that promises durability can do without, and nothing else. `python -m bench.floor`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import queue
import socket
import sqlite3
import threading
import time
from concurrent.futures import Future
from typing import Any

import orjson

_GROUP = 500  # alerts in one commit, at most


class Writer(threading.Thread):
    """One writer; everything that waits when it begins goes into one commit."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.queue: queue.SimpleQueue[tuple[list[bytes], Future[None]]] = queue.SimpleQueue()

    def run(self) -> None:
        database = sqlite3.connect(self.path, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE IF NOT EXISTS alerts (id INTEGER PRIMARY KEY, body BLOB)")
        while True:
            batch = [self.queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < _GROUP:
                    batch.append(self.queue.get_nowait())
            database.execute("BEGIN IMMEDIATE")
            rows = [(body,) for bodies, _ in batch for body in bodies]
            database.executemany("INSERT INTO alerts (body) VALUES (?)", rows)
            database.execute("COMMIT")
            for _, done in batch:
                done.set_result(None)


class Floor:
    """The ASGI application."""

    def __init__(self, path: str, port: int) -> None:
        self.writer = Writer(path)
        self.writer.start()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.target = ("127.0.0.1", port)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = scope["method"] == "POST"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        alerts = orjson.loads(body)["alerts"] if body else []
        if alerts:
            done: Future[None] = Future()
            self.writer.queue.put(([orjson.dumps(alert) for alert in alerts], done))
            await asyncio.wrap_future(done)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})
        for alert in alerts:
            name = alert["labels"]["n"]
            self.socket.sendto(f"{name} 0 {time.monotonic_ns()} {name}".encode(), self.target)


def main() -> None:
    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--effects", type=int, required=True)
    parser.add_argument("--database", required=True)
    options = parser.parse_args()
    uvicorn.run(
        Floor(options.database, options.effects),
        host="127.0.0.1",
        port=options.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
    )


if __name__ == "__main__":
    main()
