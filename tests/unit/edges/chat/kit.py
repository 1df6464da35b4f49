"""The chat over the real engine and a strict Slack, on one clock that the tests move."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from engine.contract.ports import Ports
from engine.contract.world import SecretRef
from engine.domain.alert import Alert, AlertStatus, Delivery
from engine.edges.chat.building import chat_of, voices_of
from engine.edges.chat.service import ChatService
from engine.edges.desk.directory import Directory, Role
from engine.edges.desk.directory import Person as Known
from engine.edges.settings.chat import ChatConfig
from engine.edges.settings.slack import SlackConfig
from engine.journal.rows import GateRow, IncidentRow, Page, RunRow
from tests.unit.edges import app as doors
from worlds.slack import Person, SlackServer, Workspace
from worlds.slack.channels import Channel
from worlds.slack.people import form, signed
from worlds.slack.transcript import transcript
from worlds.slack.workspace import APP_TOKEN, SECRET, TOKEN

GOLDEN = Path(__file__).parent / "golden"
SRE = "S0000SRE1"
PEOPLE = {
    "alice": Known(slack=("UALICE",), tokens=("alice",)),
    "bob": Known(slack=("UBOB",)),
    "carol": Known(slack=("UCAROL",)),
}
ROLES = {
    "sre": Role(("alice", "bob")),
    "operator": Role(("alice", "bob", "dave")),
    "viewer": Role(("carol",)),
    "lead": Role(groups=(SRE,)),
}


def _speaking(app: Any) -> Callable[[RunRow], Ports]:
    voices = voices_of(app)
    return lambda row: Ports(chat=voices(row.incident_id))


@dataclass(frozen=True)
class Config(doors.Config):
    """The configuration as the chat reads it."""

    slack: SlackConfig | None = None
    chat: ChatConfig = field(default_factory=ChatConfig)
    people: Mapping[str, Known] = field(default_factory=lambda: PEOPLE)

    @property
    def directory(self) -> Directory:
        return Directory(ROLES, self.people)


class _Secrets:
    def learn(self, _name: str, value: str) -> str:
        return value


class App(doors.App):
    """The doors' application, with what the chat asks of it."""

    secrets = _Secrets()

    def reference(self, reference: SecretRef) -> str:
        return {"TOKEN": TOKEN, "SECRET": SECRET, "APP": APP_TOKEN}[str(reference.env)]


def config(api: str, **chat: Any) -> Config:
    slack = SlackConfig(
        token=SecretRef(env="TOKEN"),
        signing_secret=SecretRef(env="SECRET"),
        channels={"updates": "C00000001"},
        home="updates",
        base_url=api,
    )
    told = {"invite": ["sre"], "commander": "sre", "pages": "https://stanch.internal", **chat}
    return replace(Config(), slack=slack, chat=ChatConfig(**told))


class Stage:
    """One engine, one Slack, some people."""

    def __init__(
        self, folder: Path, server: SlackServer, *, personal: bool = False, **chat: Any
    ) -> None:
        self.folder = folder
        self.server = server
        self.slack: Workspace = server.workspace
        self.slack.users |= {"UALICE", "UBOB", "UCAROL"}
        self.slack.groups[SRE] = ["UBOB"]
        self.slack.strict_rates = True
        data = frozenset({"toy"}) if personal else frozenset()
        self.app = App(folder, replace(config(server.api, **chat), personal=data))
        self.clock = self.app.engine.clock
        self.slack.clock = self.clock
        self.chat: ChatService = chat_of(self.app)
        self.app.services.ports = _speaking(self.app)
        self.alice, self.bob, self.carol, self.stranger = (
            Person(name, self.slack, server.base)
            for name in ("UALICE", "UBOB", "UCAROL", "USTRANGE")
        )

    def restart(self) -> None:
        """The process ends and another one begins, on the same store."""
        self.chat = chat_of(self.app)
        self.app.services.ports = _speaking(self.app)

    def close(self) -> None:
        self.app.store.close()

    # ------------------------------------------------------------ time and work

    def work(self) -> None:
        """Do what is due now, and let no time pass."""
        for _ in range(500):
            self.app.settle()
            if not self.chat.step():
                return
        raise AssertionError("the chat does not come to rest")

    def settle(self, most: float = 180.0) -> None:
        """Work, and let the time pass that limits ask for, up to `most` seconds."""
        left = most
        while True:
            self.work()
            due = self.app.store.read(lambda tx: tx.outbox.next_due())
            if due is None:
                return
            wait = max(0.05, (due - self.clock.now()).total_seconds())
            left -= wait
            if left < 0:
                return
            self.clock.advance(wait)

    def pass_time(self, seconds: float, step: float = 30.0) -> None:
        """Let time pass, working on the way."""
        left = seconds
        while left > 0:
            self.clock.advance(min(step, left))
            left -= step
            self.work()

    # ------------------------------------------------------------ alerts and what becomes of them

    def alert(self, *, to: int = 5, status: str = "firing", **annotations: str) -> None:
        self.arrive(to=to, status=status, **annotations)
        self.settle()

    def arrive(self, *, to: int = 5, status: str = "firing", **annotations: str) -> None:
        """An alert is accepted, and nothing was done about it yet."""
        alert = Alert(
            fingerprint=f"f{to}",
            status=AlertStatus(status),
            labels={"alertname": "XLow", "to": str(to)},
            annotations=annotations,
            starts_at=datetime(2025, 12, 31, 23, 59, tzinfo=UTC),
        )
        delivery = Delivery("stanch", "{}", {"alertname": "XLow"}, "", (alert,))
        self.app.store.write(lambda tx: tx.alerts.accept(delivery))

    @property
    def incident(self) -> IncidentRow:
        return self.app.store.read(lambda tx: tx.incidents.list(Page(limit=1)))[0]

    @property
    def run(self) -> RunRow:
        return self.app.store.read(lambda tx: tx.runs.list(Page(limit=1)))[0]

    @property
    def state(self) -> str:
        """The state of the newest run."""
        return self.run.state.value

    @property
    def gate(self) -> GateRow:
        return self.app.store.read(lambda tx: tx.gates.of_run(self.run.id))[-1]

    # ------------------------------------------------------------ what people see and do

    @property
    def channel(self) -> Channel:
        return next(one for one in self.slack.channels.values() if one.creator == "UBOT")

    def message(self, text: str) -> dict[str, Any]:
        """The last message of the channel that holds `text`."""
        found: dict[str, Any]
        for found in reversed(self.channel.messages):
            if text in str(found):
                return found
        raise AssertionError(f"nobody said {text!r} in:\n{transcript(self.channel)}")

    def post(self, given: Mapping[str, Any], **more: Any) -> httpx.Response:
        """Send what Slack would, signed."""
        body = form(given)
        headers = more.get("headers") or signed(body, self.clock.now().timestamp())
        path = "/slack/commands" if "command" in given else "/slack/interactions"
        return self.send(path, body, headers)

    def send(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(Starlette(routes=self.chat.routes()))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.post(path, content=body, headers=dict(headers))

        return asyncio.run(ask())

    def say(self, person: Person, text: str, channel: str | None = None) -> str:
        """Type a command in the incident's channel and return the answer."""
        where = channel or self.channel.id
        given = person.command(text, where)
        before = len(self.slack.answers)
        answer = self.post(given)
        assert answer.status_code == 200, answer.text
        assert not answer.content
        self.settle()
        assert len(self.slack.answers) > before, "there was no answer"
        return told(self.slack.answers[before][1])

    def press(self, person: Person, text: str, action: str) -> None:
        """Press a button of the message that holds `text`."""
        assert self.post(person.press(self.channel, self.message(text), action)).status_code == 200
        self.settle()

    @property
    def answered(self) -> str:
        """What the last person was answered."""
        return told(self.slack.answers[-1][1])


def told(message: Mapping[str, Any]) -> str:
    from worlds.slack.transcript import shown

    return shown(message)


_IDS = re.compile(r"\b(run|inc|gate|alert)-[0-9a-z]{10,}")
_PRINTS = re.compile(r"\b[0-9a-f]{16,64}\b")


def named(text: str) -> str:
    """Replace ids and fingerprints by what they are, so that a golden file is the same every time."""
    seen: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        kind = match[1]
        if match[0] not in seen:
            number = sum(one.startswith(kind) for one in seen.values()) + 1
            seen[match[0]] = f"{kind}-{number}"
        return seen[match[0]]

    return _PRINTS.sub("FINGERPRINT", _IDS.sub(name, text))


def golden(name: str, text: str) -> None:
    """Compare with a golden file; STANCH_GOLDEN=1 writes it anew, to be read before it is kept."""
    path = GOLDEN / name
    if os.environ.get("STANCH_GOLDEN"):
        path.write_text(named(text), encoding="utf-8")
    assert named(text) == path.read_text(encoding="utf-8"), f"see {path}; STANCH_GOLDEN=1 renews it"
