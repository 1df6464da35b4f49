"""Alertmanager's cases."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest

from actions.alertmanager import AlertmanagerExpire, AlertmanagerSilence
from actions.http import HttpKind
from engine.contract import Category
from tests.contract.actions.cases import ChangeCase, Fault
from tests.contract.actions.conftest import Served
from tests.contract.actions.recorder import Recorder
from tests.contract.actions.worlds import Connections
from worlds.servers.process import free_port

TOKEN = "alerts+token/=&"
SILENCES = "/api/v2/silences"


def connections(url: str) -> Connections:
    allow = {"paths": [f"GET {SILENCES}", f"POST {SILENCES}", "* /api/v2/silence/*"]}
    raw: Mapping[str, Any] = {"url": url, "bearer": {"env": "TOKEN"}, "timeout": 5, "allow": allow}
    return Connections({"alerts": (HttpKind(), raw)}, {"TOKEN": TOKEN})


def _call(method: str, url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(asked, timeout=5) as answer:
        text = answer.read()
        return json.loads(text) if text else None


class Desk:
    """What an operator sees and does at Alertmanager, past the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self._url = f"http://127.0.0.1:{recorder._upstream}"

    def state(self) -> Any:
        """Every silence in force, without ids and start times."""
        kept = ("matchers", "comment", "createdBy", "endsAt")
        live = [one for one in self.all() if one["status"]["state"] != "expired"]
        return sorted(json.dumps({name: one[name] for name in kept}) for one in live)

    def all(self) -> Any:
        return _call("GET", self._url + SILENCES)

    def set(self, **silence: Any) -> str:
        found: str = _call("POST", self._url + SILENCES, silence)["silenceID"]
        return found


def _parts(
    request: pytest.FixtureRequest, desk: Desk, params: Mapping[str, Any]
) -> tuple[Any, ...]:
    recorder: Recorder = request.getfixturevalue("alerts")
    served: Served = request.getfixturevalue("served")
    whole = {"connection": "alerts", **params}
    faults = {
        "unreachable": Fault(
            Category.TRANSIENT, connections(f"http://127.0.0.1:{free_port()}"), whole
        ),
        "credentials": Fault(Category.CONFIGURATION, connections(served.recorder.url), whole),
        "missing": Fault(Category.CONFIGURATION, connections(f"{recorder.url}/-/ready"), whole),
    }
    return connections(recorder.url), whole, desk.state, recorder.http_writes, faults, [TOKEN]


def silence(request: pytest.FixtureRequest) -> ChangeCase:
    desk = Desk(request.getfixturevalue("alerts"))

    def extend() -> None:
        (one,) = [one for one in desk.all() if one["status"]["state"] == "active"]
        kept = {name: one[name] for name in ("id", "matchers", "comment", "createdBy", "startsAt")}
        desk.set(**kept, endsAt="2099-01-01T00:00:00Z")

    params = {
        "matchers": [
            {"name": "namespace", "value": "starforge"},
            {"name": "alertname", "value": "Etl.*", "regex": True},
        ],
        "duration": "2h",
    }
    case = ChangeCase(*_parts(request, desk, params), action=AlertmanagerSilence())
    case.meddle, case.conflict = extend, "endsAt"
    return case


def expire(request: pytest.FixtureRequest) -> ChangeCase:
    desk = Desk(request.getfixturevalue("alerts"))
    identity = desk.set(
        matchers=[{"name": "job", "value": "etl", "isRegex": False, "isEqual": True}],
        comment="by hand",
        createdBy="alice",
        startsAt="2026-01-01T00:00:00Z",
        endsAt="2098-01-01T00:00:00.123Z",
    )
    params = {"id": identity}
    return ChangeCase(*_parts(request, desk, params), action=AlertmanagerExpire())


CHANGES = {"alertmanager.silence": silence, "alertmanager.expire": expire}
