"""HTTP's cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from actions.http import HttpGet, HttpKind, HttpRequest
from engine.contract import Category
from tests.contract.actions.cases import ChangeCase, Fault, ReadCase
from tests.contract.actions.conftest import Served
from tests.contract.actions.service import TOKEN
from tests.contract.actions.worlds import Connections
from worlds.servers.process import free_port

WRONG = "wr0ng+token/=&"


def connections(url: str, token: str = TOKEN, **settings: Any) -> Connections:
    raw: Mapping[str, Any] = {
        "url": url,
        "bearer": {"env": "TOKEN"},
        "idempotency_header": "Idempotency-Key",
        "timeout": 5,
        **settings,
    }
    return Connections({"api": (HttpKind(), raw)}, {"TOKEN": token})


def _parts(request: pytest.FixtureRequest, params: Mapping[str, Any]) -> tuple[Any, ...]:
    served: Served = request.getfixturevalue("served")
    whole = {"connection": "api", **params}
    url = served.recorder.url
    faults = {
        "unreachable": Fault(
            Category.TRANSIENT, connections(f"http://127.0.0.1:{free_port()}"), whole
        ),
        "credentials": Fault(Category.CONFIGURATION, connections(url, WRONG), whole),
        "missing": Fault(Category.PERMANENT, connections(url), {**whole, "path": "/no/such"}),
    }
    return (
        connections(url),
        whole,
        lambda: dict(served.service.pauses),
        served.recorder.http_writes,
        faults,
        [TOKEN, WRONG],
    )


def request_case(request: pytest.FixtureRequest) -> ChangeCase:
    params = {
        "method": "POST",
        "path": "/v1/pauses",
        "body": {"pack": "etl"},
        "expect": [201],
        "undo": {"method": "DELETE", "path": "/v1/pauses/{id}"},
    }
    return ChangeCase(*_parts(request, params), action=HttpRequest())


def get_case(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert output["status"] == 200
        assert set(output["body"]) == {"token", "coded"}  # masked; the suite looks for the values

    return ReadCase(*_parts(request, {"path": "/echo"}), action=HttpGet(), check=check)


CHANGES = {"http.request": request_case}
READS = {"http.get": get_case}
