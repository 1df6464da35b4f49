"""HTTP services in a rehearsal: recorded or scripted answers to calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl

import httpx

from engine.domain.canonical import Json
from engine.domain.rehearsed import Message, NetChange, Scene, Unanswered
from worlds.rehearsal.calls import Call
from worlds.rehearsal.specs import Slot, choose, contains

URL = "https://service.rehearsal.invalid"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class WebWorld(httpx.BaseTransport):
    """Answers calls. What is not scripted fails, naming the call."""

    def __init__(self, spec: Sequence[Call], scene: Scene) -> None:
        self._slots = [Slot(entry) for entry in spec]
        self._scene = scene
        self._called: dict[str, list[str | None]] = {}
        self._unanswered: list[str] = []

    def settings(self) -> Mapping[str, Any]:
        return {"url": URL}

    def transport(self, *, writable: bool) -> Any:
        del writable
        return self

    def changes(self) -> Sequence[NetChange]:
        return [
            NetChange(title, what="called", count=len(keys)) for title, keys in self._called.items()
        ]

    def messages(self) -> Sequence[Message]:
        return ()

    def unanswered(self) -> Sequence[str]:
        return self._unanswered

    def unasked(self) -> Sequence[str]:
        return [
            f"call {slot.entry.title}"
            + (f" ({slot.used} of {slot.entry.times} times)" if slot.used else "")
            for slot in self._slots
            if not slot.entry.optional and slot.used < (slot.entry.times or 1)
        ]

    def close(self) -> None:
        """Nothing is open; the client closes it with itself, and it may be asked again."""

    # ------------------------------------------------------------ answers

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        method, path = request.method, request.url.path
        query = dict(parse_qsl(request.url.query.decode(), keep_blank_values=True))
        sent = _json(request.read())
        now = self._scene.clock.now()
        slot = choose(
            self._slots, self._scene, lambda one: _fits(one, method, path, query, sent), now
        )
        if slot is None:
            return self.unscripted(
                request, f"{method} {path}" + (f" with {query}" if query else "")
            )
        slot.used += 1
        entry = slot.entry
        self._scene.clock.sleep(entry.slow)
        if entry.drop == "before":
            raise httpx.ConnectError("a fault of the rehearsal broke the connection")
        if method not in _SAFE and not entry.reads and entry.status < 400:
            key = request.headers.get("idempotency-key")
            keys = self._called.setdefault(f"{method} {path}", [])
            if key is None or key not in keys:  # a copy with its key is no second call
                keys.append(key)
        if entry.drop == "after":
            raise httpx.ReadError("a fault of the rehearsal broke the connection")
        return _answer(entry, request)

    def unscripted(self, request: httpx.Request, call: str) -> httpx.Response:
        """Answer a call that no entry fits."""
        del request
        self._unanswered.append(f"{self._scene.connection}: {call}")
        raise Unanswered(self._scene.connection, f"the call {call}")


class HookWorld(WebWorld):
    """A receiver of messages: it takes what no entry speaks of, and what it took is told."""

    def __init__(self, spec: Sequence[Call], scene: Scene) -> None:
        super().__init__(spec, scene)
        self._taken: list[Message] = []

    def settings(self) -> Mapping[str, Any]:
        return {"url": URL, "records": self._scene.scratch / f"{self._scene.connection}-records"}

    def changes(self) -> Sequence[NetChange]:
        return ()

    def messages(self) -> Sequence[Message]:
        return self._taken

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if request.method not in _SAFE and answer.is_success:
            text = request.read().decode("utf-8", "replace")
            now = self._scene.clock.now()
            self._taken.append(Message(now, self._scene.connection, text))
        return answer

    def unscripted(self, request: httpx.Request, call: str) -> httpx.Response:
        if request.method in _SAFE:
            return super().unscripted(request, call)
        return httpx.Response(202, json={"status": "accepted"}, request=request)


def _fits(slot: Slot[Call], method: str, path: str, query: Mapping[str, str], sent: Json) -> bool:
    entry = slot.entry
    if entry.times is not None and slot.used >= entry.times:
        return False
    wanted = {name: str(value) for name, value in entry.query.items()}
    return (
        entry.method.upper() == method
        and fnmatchcase(path, entry.path)
        and contains(query, wanted)
        and (entry.body is None or contains(sent, entry.body))
    )


def _json(raw: bytes) -> Json:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _answer(entry: Call, request: httpx.Request) -> httpx.Response:
    headers = dict(entry.headers)
    if entry.text is not None:
        return httpx.Response(entry.status, text=entry.text, headers=headers, request=request)
    if entry.json_ is None and "json_" not in entry.model_fields_set:
        return httpx.Response(entry.status, headers=headers, request=request)
    return httpx.Response(entry.status, json=entry.json_, headers=headers, request=request)
