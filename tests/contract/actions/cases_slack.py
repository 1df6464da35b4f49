"""The chat's cases: over the outbox of a real journal, which is what a run's actions speak to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actions.slack import SlackFile, SlackMessage, SlackUpdate
from engine.contract import Category, Notify
from engine.contract.ports import Ports
from engine.edges.chat.outgoing import OutgoingChat
from engine.journal.database import Database, open_store
from engine.journal.keys import Keys
from tests.contract.actions.cases import Builder, Fault, NotifyCase
from tests.contract.actions.worlds import Connections
from tests.databases import put_database


def connections(store: Database, incident: str | None = "incident-1") -> Connections:
    chat = OutgoingChat(store, incident, {"updates": "C1"}, lambda _incident: None)
    return Connections({}, ports=Ports(chat=chat))


def case_of(action: Notify[Any], **params: Any) -> Builder:
    def build(request: pytest.FixtureRequest) -> NotifyCase:
        folder: Path = request.getfixturevalue("tmp_path")
        store = open_store(f"sqlite:///{put_database(folder / 'stanch.db')}", keys=Keys.generate())
        request.addfinalizer(store.close)

        def state() -> Any:
            return store.read(
                lambda tx: [*tx.outbox.waiting("incident-1"), *tx.outbox.waiting("#updates")]
            )

        faults = {
            "no chat": Fault(Category.CONFIGURATION, Connections({}), params),
            "not allowed": Fault(
                Category.CONFIGURATION, connections(store), {**params, "channel": "elsewhere"}
            ),
            "no incident": Fault(
                Category.DATA, connections(store, None), {**params, "channel": None}
            ),
        }
        return NotifyCase(connections(store), params, state, list, faults, action=action)

    return build


NOTIFIES = {
    "slack.message": case_of(SlackMessage(), text="Ingestion stands.", call=["sre"]),
    "slack.message: elsewhere": case_of(SlackMessage(), text="It stands.", channel="updates"),
    "slack.update": case_of(SlackUpdate(), of="key-0", text="Ingestion goes on."),
    "slack.file": case_of(SlackFile(), filename="errors.csv", text="id\n1\n", comment="Set aside"),
}
