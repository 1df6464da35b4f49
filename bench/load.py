"""The load generator, a process of its own: posts alerts over raw sockets and listens for their effects.

Prints one JSON document: seconds until every post was accepted and until every effect was seen, and the
time from post to effect of each alert. Clocks are CLOCK_MONOTONIC, which processes of a machine share.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson


@dataclass
class Effects(asyncio.DatagramProtocol):
    """What the listener heard: the first moment of each (id, step), and how many came twice."""

    wanted: int
    seen: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    twice: int = 0
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def datagram_received(self, data: bytes, addr: object) -> None:
        name, step, at, key = data.decode().split(" ", 3)
        if key in self.keys:
            self.twice += 1
            return
        self.keys.add(key)
        self.seen[f"{name}/{step}"] = int(at)
        self.heard.set()
        if len(self.seen) >= self.wanted:
            self.complete.set()

    async def of(self, name: str) -> None:
        """Return once the first effect of this alert was heard."""
        while f"{name}/0" not in self.seen:
            self.heard.clear()
            await self.heard.wait()


def body(numbers: Sequence[int], alertname: str) -> bytes:
    """Return a webhook body with alerts of these numbers."""
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": alertname, "namespace": f"bench-{n % 20}", "n": str(n)},
            "annotations": {"summary": "a bench alert"},
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": f"{n:016x}",
        }
        for n in numbers
    ]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for alert in alerts:
        alert["startsAt"] = now
    return orjson.dumps(
        {
            "version": "4",
            "groupKey": f"{{}}:{{n={numbers[0]}}}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "stanch",
            "groupLabels": {"alertname": alertname},
            "commonLabels": {"alertname": alertname, "namespace": "bench"},
            "commonAnnotations": {},
            "externalURL": "",
            "alerts": alerts,
        }
    )


class Connection:
    """One keep-alive HTTP/1.1 connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(reader, writer)

    async def post(self, path: str, content: bytes) -> int:
        """Post and return the status."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        self.writer.write(head.encode() + content)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        status = int(answer.split(b" ", 2)[1])
        if b"content-length:" in answer:
            length = int(answer.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            await self.reader.readexactly(length)
        elif b"chunked" in answer:
            await self.reader.readuntil(b"0\r\n\r\n")
        return status


async def run(options: argparse.Namespace) -> dict[str, object]:
    """Post, listen, and return the figures."""
    loop = asyncio.get_running_loop()
    effects = Effects(options.wanted or options.posts * options.per_post * options.effects_each)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    sock.bind(("127.0.0.1", options.listen))
    transport, _ = await loop.create_datagram_endpoint(lambda: effects, sock=sock)
    connections = [await Connection.open(options.port) for _ in range(options.connections)]
    count, kinds = options.per_post, options.distinct or options.posts * options.per_post
    bodies = [
        body([options.first + (n * count + i) % kinds for i in range(count)], options.alertname)
        for n in range(options.posts)
    ]
    sent: list[int] = [0] * options.posts
    refused = 0
    waiting = iter(range(options.posts))

    async def work(connection: Connection) -> None:
        nonlocal refused
        for n in waiting:
            if options.every:
                await asyncio.sleep(
                    max(0.0, (began - time.monotonic_ns()) / 1e9 + n * options.every)
                )
            sent[n] = time.monotonic_ns()
            status = await connection.post(options.path, bodies[n])
            refused += status >= 300
            if options.one_by_one:
                await asyncio.wait_for(effects.of(str(options.first + n)), options.within)
            if options.pause:
                await asyncio.sleep(options.pause)

    began = time.monotonic_ns()
    await asyncio.gather(*(work(connection) for connection in connections))
    accepted = time.monotonic_ns()
    if effects.wanted:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(effects.complete.wait(), options.within)
    transport.close()
    to_effect = [
        (effects.seen[name] - sent[(n - options.first) // options.per_post]) / 1e6
        for n in range(options.first, options.first + options.posts * options.per_post)
        if (name := f"{n}/0") in effects.seen
    ]
    last = max(effects.seen.values(), default=began)
    return {
        "accepted_s": (accepted - began) / 1e9,
        "effects_s": (last - began) / 1e9,
        "to_effect_ms": to_effect,
        "effects": len(effects.seen),
        "twice": effects.twice,
        "refused": refused,
        "seen": effects.seen if options.seen else {},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("--port", type=int, required=True)
    add("--path", default="/hooks/alertmanager")
    add("--listen", type=int, required=True, help="UDP port for effects")
    add("--posts", type=int, required=True)
    add("--per-post", type=int, default=1)
    add("--effects-each", type=int, default=1)
    add("--wanted", type=int, default=0, help="effects, where not one an alert and step")
    add("--distinct", type=int, default=0, help="kinds of alerts, which come again and again")
    add("--connections", type=int, default=1)
    add("--first", type=int, default=0)
    add("--pause", type=float, default=0.0, help="seconds after each post")
    add("--every", type=float, default=0.0, help="seconds from one post to the next")
    add("--one-by-one", type=int, default=0, help="1: post the next once the effect was heard")
    add("--within", type=float, default=60.0)
    add("--alertname", default="Bench")
    add("--seen", type=int, default=0, help="1: print each effect's moment too")
    sys.stdout.write(json.dumps(asyncio.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
