"""Mail's case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actions.mail import MailKind, MailSend
from engine.contract import Category
from tests.contract.actions.cases import Fault, NotifyCase
from tests.contract.actions.postbox import PASSWORD, USER, Postbox
from tests.contract.actions.worlds import Connections
from worlds.servers.process import free_port

WRONG = "wr0ng+pass/=&"


def connections(port: int, folder: Path, password: str = PASSWORD, **settings: Any) -> Connections:
    raw = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "username": USER,
        "password": {"env": "PASSWORD"},
        "sender": "stanch@example.org",
        "recipients": ["*@example.org"],
        "records": folder / "records",
        "timeout": 5,
        **settings,
    }
    return Connections({"mail": (MailKind(), raw)}, {"PASSWORD": password})


def send(request: pytest.FixtureRequest) -> NotifyCase:
    box: Postbox = request.getfixturevalue("postbox")
    folder: Path = request.getfixturevalue("tmp_path")
    (folder / "file").write_text("")
    params = {
        "connection": "mail",
        "to": ["oncall@example.org"],
        "subject": "ETL is paused since 03:15, prüfen",
        "text": "Ingestion stands.\n.\nMore follows.\n",
    }
    faults = {
        "unreachable": Fault(Category.TRANSIENT, connections(free_port(), folder), params),
        "credentials": Fault(Category.CONFIGURATION, connections(box.port, folder, WRONG), params),
        "no tls": Fault(
            Category.CONFIGURATION, connections(box.port, folder, security="starttls"), params
        ),
        "nobody": Fault(
            Category.PERMANENT,
            connections(box.port, folder),
            {**params, "to": ["nobody@example.org"]},
        ),
        "not allowed": Fault(
            Category.CONFIGURATION,
            connections(box.port, folder),
            {**params, "to": ["oncall@elsewhere.org"]},
        ),
        "records": Fault(
            Category.CONFIGURATION, connections(box.port, folder, records=folder / "file"), params
        ),
    }
    return NotifyCase(
        connections(box.port, folder),
        params,
        lambda: [(to, message["Message-ID"], message.as_string()) for to, message in box.mail],
        list,
        faults,
        [PASSWORD, WRONG],
        action=MailSend(),
    )


NOTIFIES = {"mail.send": send}
