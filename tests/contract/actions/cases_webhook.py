"""The pagers' and the webhook's cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actions.webhook import WebhookKind, WebhookSend
from engine.contract import Category
from tests.contract.actions.cases import Fault, NotifyCase
from tests.contract.actions.conftest import Served
from tests.contract.actions.pager import KEY, Pager
from tests.contract.actions.service import TOKEN
from tests.contract.actions.worlds import Connections
from worlds.servers.process import free_port

WRONG = "wr0ng+key/=&"


def connections(url: str, folder: Path, key: str, preset: str, **settings: Any) -> Connections:
    raw = {
        "preset": preset,
        "url": url,
        "key": {"env": "KEY"},
        "records": folder / "records",
        "timeout": 5,
        **settings,
    }
    return Connections({"pager": (WebhookKind(), raw)}, {"KEY": key})


def _case(
    request: pytest.FixtureRequest, preset: str, url: str, key: str, state: Any
) -> NotifyCase:
    folder: Path = request.getfixturevalue("tmp_path")
    params = {"connection": "pager", "summary": "ETL fails", "details": {"rows": 3}}
    path = {"path": "/v1/pauses"} if preset == "generic" else {}
    (folder / "file").write_text("")
    nowhere = f"http://127.0.0.1:{free_port()}"
    missing = connections(url, folder / "file", key, preset, **path)
    faults = {
        "unreachable": Fault(
            Category.TRANSIENT, connections(nowhere, folder, key, preset, **path), params
        ),
        "credentials": Fault(
            Category.CONFIGURATION, connections(url, folder, WRONG, preset, **path), params
        ),
        "records": Fault(Category.CONFIGURATION, missing, params),
    }
    return NotifyCase(
        connections(url, folder, key, preset, **path),
        params,
        state,
        list,
        faults,
        [key, WRONG],
        action=WebhookSend(),
    )


def _pager(preset: str) -> Any:
    def build(request: pytest.FixtureRequest) -> NotifyCase:
        pager: Pager = request.getfixturevalue("pager")
        return _case(request, preset, pager.url, KEY, lambda: dict(pager.alerts))

    return build


def generic(request: pytest.FixtureRequest) -> NotifyCase:
    served: Served = request.getfixturevalue("served")
    pauses = served.service.pauses
    return _case(request, "generic", served.recorder.url, TOKEN, lambda: dict(pauses))


NOTIFIES = {
    "webhook.send": _pager("pagerduty"),
    "webhook.send: opsgenie": _pager("opsgenie"),
    "webhook.send: generic": generic,
}
